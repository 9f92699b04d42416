-- state.db: finished jobs and their way out.

-- name: ended
-- Some finished jobs that ended after a given one and before a time, oldest first.
SELECT changed_ms, seq, size FROM jobs
WHERE status >= 5 AND (changed_ms, seq) > (?, ?) AND changed_ms < ? ORDER BY changed_ms, seq LIMIT ?;

-- name: still_open
-- Whether an attempt of a job is open: of a finished one, that of a node.
SELECT 1 FROM attempts WHERE job = ? AND stopped_ms IS NULL LIMIT 1;

-- name: told_last
-- The journal's newest row and its job.
SELECT n, job FROM journal ORDER BY n DESC LIMIT 1;

-- name: told_until
-- The newest row of the journal that tells of a job.
SELECT coalesce(max(n), 0) FROM journal WHERE job = ?;

-- name: outstanding
-- Jobs that are retiring, as the engine goes on with them.
SELECT r.seq, j.size, j.uuid FROM retiring AS r JOIN jobs AS j ON j.seq = r.seq ORDER BY r.seq;

-- name: proposed
-- The same as the api's writer goes on with them, and the number up to which no live job waits on one.
SELECT seq, (SELECT checked_seq FROM meta) FROM retiring ORDER BY seq;

-- name: propose
-- A job is to go.
INSERT INTO retiring (seq) VALUES (?);

-- name: withdraw
-- It is to stay, or it is gone.
DELETE FROM retiring WHERE seq = ?;

-- name: checked
-- No live job that was applied waits on one that is retiring, if there is one.
UPDATE meta SET checked_seq = applied_seq WHERE checked_seq <> applied_seq AND EXISTS (SELECT 1 FROM retiring);

-- name: delete_attempts
-- Some attempts of a job go.
DELETE FROM attempts WHERE job = ?1 AND (idx, number) IN (
  SELECT idx, number FROM attempts WHERE job = ?1 ORDER BY idx, number LIMIT ?2
) RETURNING idx, number, opened_ms, log;

-- name: delete_logs
-- The logs of its containers go with it.
DELETE FROM container_logs WHERE job = ? AND idx = ? AND number = ? RETURNING name, log;

-- name: delete_children
-- Some children go.
DELETE FROM children WHERE job = ?1 AND idx IN (SELECT idx FROM children WHERE job = ?1 ORDER BY idx LIMIT ?2);

-- name: delete_journal
-- Some of what was told of a job goes.
DELETE FROM journal WHERE n IN (SELECT n FROM journal WHERE job = ?1 LIMIT ?2);

-- name: delete_job
-- The job itself goes.
DELETE FROM jobs WHERE seq = ?;

-- name: deleted_before
-- Some queues and environments that were gone before a time, the first ones first.
SELECT id FROM deleted WHERE at_ms < ? ORDER BY at_ms, id LIMIT ?;

-- name: forget_deleted
-- Nobody asks any more whether it is gone.
DELETE FROM deleted WHERE id = ?;
