-- requests.db: job queues.

-- name: insert
-- A new queue; id and seq are the number of the request.
INSERT INTO queues (id, seq, region, name, priority, enabled, environments, body, created_ms, policy)
VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: by_name
-- The queue that has this name in the region and is not to be deleted.
SELECT id, region, name, priority, (SELECT p.name FROM policies AS p WHERE p.id = policy), enabled, environments, body,
       deleted_ms FROM queues
WHERE region = ? AND name = ? AND deleted_ms IS NULL;

-- name: leaving_by_name
-- The latest with this name that is to be deleted; state.db says whether it is gone.
SELECT id, region, name, priority, (SELECT p.name FROM policies AS p WHERE p.id = policy), enabled, environments, body,
       deleted_ms FROM queues
WHERE region = ? AND name = ? AND deleted_ms IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: by_id
-- The queue with this number.
SELECT id, region, name, priority, (SELECT p.name FROM policies AS p WHERE p.id = policy), enabled, environments, body,
       deleted_ms FROM queues WHERE id = ?;

-- name: page
-- The region's queues in order of creation, those above a number.
SELECT id, region, name, priority, (SELECT p.name FROM policies AS p WHERE p.id = policy), enabled, environments, body,
       deleted_ms FROM queues
WHERE region = ? AND id > ? ORDER BY id LIMIT ?;

-- name: to_change
-- The queue that has this name and is not to be deleted, as far as changes look at it.
SELECT id, priority, enabled, environments, body, policy, deleted_ms FROM queues
WHERE region = ? AND name = ? AND deleted_ms IS NULL;

-- name: leaving_to_change
-- The same of the latest that is to be deleted.
SELECT id, priority, enabled, environments, body, policy, deleted_ms FROM queues
WHERE region = ? AND name = ? AND deleted_ms IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: naming
-- The queues that name an environment, those that are to be deleted or gone among them.
SELECT id FROM queues WHERE EXISTS (SELECT 1 FROM json_each(environments) WHERE value = ?);

-- name: update
-- A new value under a new number.
UPDATE queues SET seq = ?, priority = ?, enabled = ?, environments = ?, body = ?, policy = ? WHERE id = ?;

-- name: delete
-- It is to be deleted.
UPDATE queues SET seq = ?, deleted_ms = ? WHERE id = ?;
