-- state.db: the journal, as it is followed.

-- name: newest
-- The number of the newest entry.
SELECT coalesce(max(n), 0) FROM journal;

-- name: after
-- The oldest entries above a number, in order.
SELECT n, at_ms, kind, job, idx, hi, status, number, detail, before FROM journal WHERE n > ? ORDER BY n LIMIT ?;
