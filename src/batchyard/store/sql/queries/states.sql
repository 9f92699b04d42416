-- state.db: jobs, children and attempts as they stand.

-- name: meta
-- How far the requests are applied, and the clock of the last commit.
SELECT applied_seq, last_ms FROM meta;

-- name: held_until
-- The highest number of a request that is part of the state.
SELECT max(applied_seq, coalesce((SELECT max(seq) FROM jobs), 0)) FROM meta;

-- name: providers
-- The room of each provider.
SELECT name, cpu_milli, memory_mib, gpus FROM providers ORDER BY name;

-- name: deleted
-- Queues and environments that are gone, by number.
SELECT id FROM deleted;

-- name: gone
-- Whether a queue or environment is.
SELECT 1 FROM deleted WHERE id = ?;

-- name: live
-- Jobs that are not terminal, or of which a node still runs, in order.
SELECT seq, status, attempts, stop_kind, stop_reason FROM jobs WHERE status < 5
UNION
SELECT seq, status, attempts, stop_kind, stop_reason FROM jobs
WHERE seq IN (SELECT job FROM attempts WHERE stopped_ms IS NULL) ORDER BY seq;

-- name: live_marked
-- Children of live arrays that were tried or stopped.
SELECT c.job, c.idx, c.attempts, c.stop_kind, c.stop_reason FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.status < 5 AND j.size > 0 AND (c.attempts > 0 OR c.stop_kind IS NOT NULL) ORDER BY c.job, c.idx;

-- name: open_attempts
-- Attempts that have not ended.
SELECT job, idx, number, environment, instance, opened_ms, started_ms, reclaim_ms, devices FROM attempts
WHERE stopped_ms IS NULL ORDER BY job, idx, number;

-- name: child_states
-- The states of an array's children, by index.
SELECT status FROM children WHERE job = ? ORDER BY idx;

-- name: job_state
-- The state of a job.
SELECT status FROM jobs WHERE seq = ?;

-- name: statuses
-- The states of given jobs (a JSON list of numbers).
SELECT seq, status FROM jobs WHERE seq IN (SELECT value FROM json_each(?));

-- name: running_below
-- Jobs, no arrays, below a number that have an open attempt.
SELECT job FROM attempts WHERE stopped_ms IS NULL AND idx = -1 AND job < ?;

-- name: child_state
-- The state of a child.
SELECT status FROM children WHERE job = ? AND idx = ?;

-- name: opened
-- When and where an attempt was opened.
SELECT opened_ms, environment, instance, devices FROM attempts WHERE job = ? AND idx = ? AND number = ?;

-- name: job
-- What became of a job, and how its latest attempt ended.
SELECT j.status, j.status_reason, j.started_ms, j.stopped_ms, j.stop_kind, j.attempts, a.exit_code, a.reason
FROM jobs AS j LEFT JOIN attempts AS a ON a.job = j.seq AND a.idx = -1 AND a.number = j.attempts WHERE j.seq = ?;

-- name: child
-- The same of a child.
SELECT c.status, c.status_reason, c.started_ms, c.stopped_ms, c.stop_kind, c.attempts, a.exit_code, a.reason
FROM children AS c LEFT JOIN attempts AS a ON a.job = c.job AND a.idx = c.idx AND a.number = c.attempts
WHERE c.job = ? AND c.idx = ?;

-- name: outcome
-- The size of a job, and if it is a finished array, how many of its children SUCCEEDED.
SELECT size, succeeded FROM jobs WHERE seq = ?;

-- name: child_counts
-- How many children of an array are in each state.
SELECT status, count(*) FROM children WHERE job = ? GROUP BY status;

-- name: attempts
-- All attempts of a job or child, oldest first.
SELECT number, environment, instance, opened_ms, started_ms, stopped_ms, exit_code, reason, status_reason,
       peak_memory_bytes, cpu_ms, reclaim_ms, devices, containers FROM attempts WHERE job = ? AND idx = ? ORDER BY number;

-- name: in_status
-- A queue's jobs in one state below a number, newest first.
SELECT j.seq, j.status, j.status_reason, j.started_ms, j.stopped_ms, j.stop_kind, j.attempts, a.exit_code, a.reason
FROM jobs AS j LEFT JOIN attempts AS a ON a.job = j.seq AND a.idx = -1 AND a.number = j.attempts
WHERE j.queue = ? AND j.status = ? AND j.seq < ? ORDER BY j.seq DESC LIMIT ?;

-- name: children_in_status
-- An array's children in one state above an index.
SELECT c.idx, c.status, c.status_reason, c.started_ms, c.stopped_ms, c.stop_kind, c.attempts, a.exit_code, a.reason
FROM children AS c LEFT JOIN attempts AS a ON a.job = c.job AND a.idx = c.idx AND a.number = c.attempts
WHERE c.job = ? AND c.status = ? AND c.idx > ? ORDER BY c.idx LIMIT ?;

