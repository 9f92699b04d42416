-- requests.db: compute environments.

-- name: insert
-- A new environment; id and seq are the number of the request.
INSERT INTO environments (id, seq, region, name, uuid, kind, provider, enabled, body, created_ms)
VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: by_name
-- The environment that has this name in the region and is not to be deleted.
SELECT id, region, name, uuid, kind, provider, enabled, body, deleted_ms FROM environments
WHERE region = ? AND name = ? AND deleted_ms IS NULL;

-- name: leaving_by_name
-- The latest with this name that is to be deleted; state.db says whether it is gone.
SELECT id, region, name, uuid, kind, provider, enabled, body, deleted_ms FROM environments
WHERE region = ? AND name = ? AND deleted_ms IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: by_id
-- The environment with this number.
SELECT id, region, name, uuid, kind, provider, enabled, body, deleted_ms FROM environments WHERE id = ?;

-- name: page
-- The region's environments in order of creation, those above a number.
SELECT id, region, name, uuid, kind, provider, enabled, body, deleted_ms FROM environments
WHERE region = ? AND id > ? ORDER BY id LIMIT ?;

-- name: to_change
-- The environment that has this name and is not to be deleted, as far as changes look at it.
SELECT id, provider, uuid, enabled, body, deleted_ms FROM environments
WHERE region = ? AND name = ? AND deleted_ms IS NULL;

-- name: leaving_to_change
-- The same of the latest that is to be deleted.
SELECT id, provider, uuid, enabled, body, deleted_ms FROM environments
WHERE region = ? AND name = ? AND deleted_ms IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: deletion
-- When its deletion was asked for.
SELECT deleted_ms FROM environments WHERE id = ?;

-- name: update
-- A new value under a new number.
UPDATE environments SET seq = ?, enabled = ?, body = ? WHERE id = ?;

-- name: delete
-- It is to be deleted.
UPDATE environments SET seq = ?, deleted_ms = ? WHERE id = ?;
