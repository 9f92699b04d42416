-- requests.db: compute environments.

-- name: insert
-- A new environment; id and seq are the number of the request.
INSERT INTO environments (id, seq, region, name, uuid, kind, provider, enabled, body, created_ms)
VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: by_name
-- The environment that has this name in the region.
SELECT id, region, name, uuid, kind, provider, enabled, body FROM environments WHERE region = ? AND name = ?;

-- name: by_id
-- The environment with this number.
SELECT id, region, name, uuid, kind, provider, enabled, body FROM environments WHERE id = ?;

-- name: page
-- The region's environments in order of creation, those above a number.
SELECT id, region, name, uuid, kind, provider, enabled, body FROM environments
WHERE region = ? AND id > ? ORDER BY id LIMIT ?;

-- name: changed
-- Environments created or altered after a request number, in order of their latest change.
SELECT seq, id, provider, uuid, enabled, json_extract(body, '$.room') FROM environments WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: created_until
-- Environments whose creation was applied, as they are now.
SELECT seq, id, provider, uuid, enabled, json_extract(body, '$.room') FROM environments WHERE id <= ? ORDER BY id;
