-- state.db: shares of queues with a fair-share policy.

-- name: record
-- What a share has used.
INSERT INTO shares (queue, share, usage, charged_ms, used_ms, latest_cpu_milli) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (queue, share) DO UPDATE SET usage = ?3, charged_ms = ?4, used_ms = ?5, latest_cpu_milli = ?6;

-- name: all
-- All that are active.
SELECT queue, share, usage, charged_ms, used_ms, latest_cpu_milli FROM shares ORDER BY queue, share;

-- name: forget
-- It is active no more.
DELETE FROM shares WHERE queue = ? AND share = ?;

-- name: leave
-- A queue is gone, and its shares with it.
DELETE FROM shares WHERE queue = ?;

-- name: known
-- Whether the share of a queue is active.
SELECT 1 FROM shares WHERE queue = ? AND share = ?;

-- name: of_queue
-- The active shares of a queue.
SELECT share FROM shares WHERE queue = ?;
