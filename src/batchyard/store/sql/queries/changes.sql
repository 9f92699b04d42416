-- requests.db: what became other about environments, queues and consumable resources, one change after the other.

-- name: insert
-- A creation, a change or a wish to delete, with the value that holds from now on.
INSERT INTO changes (seq, subject, kind, value, at_ms, idempotency) VALUES (?, ?, ?, ?, ?, ?);

-- name: by_idempotency
-- What the call with this key changed, and when.
SELECT subject, at_ms FROM changes WHERE idempotency = ?;

-- name: forget_key
-- A call with this key may change something anew.
UPDATE changes SET idempotency = NULL WHERE idempotency = ?;

-- name: after
-- The changes after a request number, in order.
SELECT seq, subject, kind, value FROM changes WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: until
-- The value of everything as of a request number, by creation. (Of a group, SQLite takes the row of the
-- maximum.)
SELECT max(seq), subject, kind, value FROM changes WHERE seq <= ? GROUP BY subject ORDER BY subject;
