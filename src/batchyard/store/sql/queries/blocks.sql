-- state.db: queues whose head cannot start.

-- name: stuck
-- The head of a queue cannot start; nobody is told yet.
INSERT INTO blocks (queue, job, idx, reason, since_ms, told) VALUES (?, ?, ?, ?, ?, 0);

-- name: told
-- Now somebody is.
UPDATE blocks SET told = 1 WHERE queue = ? AND job = ? AND idx = ? AND told = 0;

-- name: cleared
-- It is at the head no more, or can start.
DELETE FROM blocks WHERE queue = ? AND job = ? AND idx = ?;

-- name: tell_job
-- A RUNNABLE job says why it does not start.
UPDATE jobs SET status_reason = ? WHERE seq = ? AND status = 2;

-- name: tell_child
-- The same of a child.
UPDATE children SET status_reason = ? WHERE job = ? AND idx = ? AND status = 2;

-- name: clear_job
-- It waits, and has nothing to say.
UPDATE jobs SET status_reason = NULL WHERE seq = ? AND status = 2 AND status_reason = ?;

-- name: clear_child
-- The same of a child.
UPDATE children SET status_reason = NULL WHERE job = ? AND idx = ? AND status = 2 AND status_reason = ?;

-- name: blocked
-- The queues whose heads have told.
SELECT queue FROM blocks WHERE told;

-- name: all
-- All that there are.
SELECT queue, job, idx, reason, since_ms, told FROM blocks ORDER BY queue;
