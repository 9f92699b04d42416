-- requests.db: scheduling policies.

-- name: insert
-- A new policy; id and seq are the number of the request.
INSERT INTO policies (id, seq, region, name, body, created_ms) VALUES (?1, ?1, ?2, ?3, ?4, ?5);

-- name: by_name
-- The policy that has this name in the region.
SELECT id, region, name, body FROM policies WHERE region = ? AND name = ?;

-- name: page
-- The region's policies in order of creation, those above a number.
SELECT id, region, name, body FROM policies WHERE region = ? AND id > ? ORDER BY id LIMIT ?;

-- name: update
-- A new value under a new number.
UPDATE policies SET seq = ?, body = ? WHERE id = ?;

-- name: delete
-- It is gone.
DELETE FROM policies WHERE id = ?;

-- name: there
-- Whether there is a policy with this number.
SELECT 1 FROM policies WHERE id = ?;

-- name: queues
-- The queues that go by it, those that are to be deleted or gone among them.
SELECT id, name FROM queues WHERE policy = ?;
