-- requests.db: what became other about environments and queues, one change after the other.

-- name: insert
-- A creation, a change or a wish to delete, with the value that holds from now on.
INSERT INTO changes (seq, subject, kind, value, at_ms, idempotency) VALUES (?, ?, ?, ?, ?, ?);

-- name: by_idempotency
-- What the call with this key changed.
SELECT subject FROM changes WHERE idempotency = ?;

-- name: after
-- The changes after a request number, in order.
SELECT seq, subject, kind, value FROM changes WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: until
-- The value of every environment and queue as of a request number, by creation. (Of a group, SQLite takes the row of the
-- maximum.)
SELECT max(seq), subject, kind, value FROM changes WHERE seq <= ? GROUP BY subject ORDER BY subject;
