-- requests.db: job queues.

-- name: insert
-- A new queue; id and seq are the number of the request.
INSERT INTO queues (id, seq, region, name, priority, enabled, environments, body, created_ms)
VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: by_name
-- The queue that has this name in the region.
SELECT id, region, name, priority, enabled, environments, body FROM queues WHERE region = ? AND name = ?;

-- name: by_id
-- The queue with this number.
SELECT id, region, name, priority, enabled, environments, body FROM queues WHERE id = ?;

-- name: page
-- The region's queues in order of creation, those above a number.
SELECT id, region, name, priority, enabled, environments, body FROM queues
WHERE region = ? AND id > ? ORDER BY id LIMIT ?;

-- name: changed
-- Queues created or altered after a request number, in order of their latest change.
SELECT seq, id, priority, enabled, environments FROM queues WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: created_until
-- Queues whose creation was applied, as they are now.
SELECT seq, id, priority, enabled, environments FROM queues WHERE id <= ? ORDER BY id;
