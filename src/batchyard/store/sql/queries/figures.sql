-- state.db: what is counted.

-- name: told
-- Entries of the journal above a number, with what rows say of their jobs and attempts.
SELECT t.n, t.at_ms, t.kind, t.job, t.idx, t.hi, t.status, t.detail, t.before, j.queue, j.size, a.environment, a.opened_ms
FROM journal AS t LEFT JOIN jobs AS j ON j.seq = t.job
LEFT JOIN attempts AS a ON a.job = t.job AND a.idx = t.idx AND a.number = t.number WHERE t.n > ? ORDER BY t.n LIMIT ?;

-- name: told_of
-- All entries of a job, in order.
SELECT t.n, t.at_ms, t.kind, t.job, t.idx, t.hi, t.status, t.detail, t.before, j.queue, j.size, NULL, NULL
FROM journal AS t JOIN jobs AS j ON j.seq = t.job WHERE t.job = ? ORDER BY t.n;

-- name: newest
-- The number of the newest entry.
SELECT coalesce(max(n), 0) FROM journal;

-- name: stamp
-- Time and job of an entry.
SELECT at_ms, job FROM journal WHERE n = ?;

-- name: complete
-- Whether no entry is missing, and none lacks the state that was left.
SELECT count(*) = coalesce(max(n), 0) AND NOT EXISTS (
  SELECT 1 FROM journal WHERE before IS NULL AND kind IN ('moved', 'opened', 'began', 'closed')
) FROM journal;

-- name: view
-- What the engine shows under a name.
SELECT body FROM views WHERE name = ?;

-- name: live_singles
-- Single jobs that live, by queue and state.
SELECT queue, status, count(*) FROM jobs WHERE status < 5 AND size = 0 GROUP BY queue, status;

-- name: live_children
-- Children that live, by queue and state.
SELECT j.queue, c.status, count(*) FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.status < 5 AND j.size > 0 AND c.status < 5 GROUP BY j.queue, c.status;

-- name: live_arrays
-- Arrays that live, by queue.
SELECT queue, count(*) FROM jobs WHERE status < 5 AND size > 0 GROUP BY queue;

-- name: runnable_singles
-- Single jobs that are RUNNABLE, and since when.
SELECT seq, queue, changed_ms FROM jobs WHERE status = 2 AND size = 0;

-- name: runnable_arrays
-- Arrays that have RUNNABLE children.
SELECT seq FROM jobs AS j WHERE status < 5 AND size > 0
AND EXISTS (SELECT 1 FROM children AS c WHERE c.job = j.seq AND c.status = 2);

-- name: open_attempts
-- How many attempts of a job are open in an environment; nodes, whose needs differ, each for itself.
SELECT environment, job, max(idx), count(*) FROM attempts WHERE stopped_ms IS NULL
GROUP BY environment, job, iif(idx >= 1000000, idx, -1);

-- name: instances
-- How many instances managed environments have, and what jobs may hold of them.
SELECT environment, count(*), sum(cpu_milli), sum(usable_mib), sum(gpus) FROM instances WHERE ended_ms IS NULL
GROUP BY environment;
