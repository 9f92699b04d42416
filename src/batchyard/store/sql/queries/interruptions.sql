-- requests.db: Spot capacity that the operator wishes to have interrupted.

-- name: insert
-- A wish.
INSERT INTO interruptions (seq, environment, instance, job, idx, at_ms) VALUES (?, ?, ?, ?, ?, ?);

-- name: after
-- The wishes after a request number, in order.
SELECT seq, environment, instance, job, idx FROM interruptions WHERE seq > ? ORDER BY seq LIMIT ?;
