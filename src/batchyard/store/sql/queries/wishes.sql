-- requests.db: what callers wish of jobs that exist.

-- name: insert
-- A cancel or terminate.
INSERT INTO wishes (seq, job, idx, kind, reason, at_ms) VALUES (?, ?, ?, ?, ?, ?);

-- name: after
-- The wishes after a request number, in order.
SELECT seq, job, idx, kind, reason FROM wishes WHERE seq > ? ORDER BY seq LIMIT ?;
