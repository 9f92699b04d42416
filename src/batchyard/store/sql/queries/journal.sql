-- state.db: the journal, as it is followed.

-- name: newest
-- The number of the newest entry.
SELECT coalesce(max(n), 0) FROM journal;

-- name: after
-- The oldest entries above a number, in order.
SELECT n, at_ms, kind, job, idx, hi, status, number, detail, before FROM journal WHERE n > ? ORDER BY n LIMIT ?;

-- name: attempts
-- The attempts of a range of children (or of a job, as its only one) up to a number, oldest first.
SELECT idx, number, environment, instance, opened_ms, started_ms, stopped_ms, exit_code, reason, status_reason,
       peak_memory_bytes, cpu_ms, containers FROM attempts
WHERE job = ? AND idx >= ? AND idx < ? AND number <= ? ORDER BY idx, number;

-- name: stops
-- When a job or children of it were cancelled or terminated, between two entries, in order.
SELECT n, idx, hi, json_extract(detail, '$.kind') FROM journal INDEXED BY journal_stops
WHERE job = ? AND kind = 'stop' AND n > ? AND n < ? ORDER BY n;

-- name: outcome
-- Of a finished array, how many children SUCCEEDED.
SELECT succeeded FROM jobs WHERE seq = ?;
