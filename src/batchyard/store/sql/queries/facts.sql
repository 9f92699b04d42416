-- state.db: what store/apply.py writes, one statement per kind of change.

-- name: record_provider
-- A provider's room.
INSERT INTO providers (name, cpu_milli, memory_mib, gpus) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (name) DO UPDATE SET cpu_milli = ?2, memory_mib = ?3, gpus = ?4;

-- name: delete_provider
-- A provider goes with the environment whose own it was.
DELETE FROM providers WHERE name = ?;

-- name: add_deleted
-- Nothing is left of a queue or environment.
INSERT INTO deleted (id, at_ms) VALUES (?, ?);

-- name: add_job
-- A job enters the state.
INSERT INTO jobs (seq, uuid, queue, size, status, changed_ms, stopped_ms, nodes, share, priority)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: add_children
-- All children of an array at once.
INSERT INTO children (job, idx, status, stopped_ms)
WITH RECURSIVE each (idx) AS (SELECT 0 UNION ALL SELECT idx + 1 FROM each WHERE idx + 1 < :size)
SELECT :job, idx, :status, :stopped_ms FROM each;

-- name: add_nodes
-- All nodes of a multi-node job at once, but the main one.
INSERT INTO children (job, idx, status)
WITH RECURSIVE each (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM each WHERE number + 1 < :nodes)
SELECT :job, :first + number, :status FROM each WHERE number <> :main;

-- name: move_job
-- A job in one state enters another; a NULL attempt number or start leaves the old one, reason and end are replaced.
UPDATE jobs SET status = ?, status_reason = ?, attempts = coalesce(?, attempts), started_ms = coalesce(?, started_ms),
                stopped_ms = ?, changed_ms = ? WHERE seq = ? AND status = ?;

-- name: move_child
-- A child in one state enters another; likewise.
UPDATE children SET status = ?, status_reason = ?, attempts = coalesce(?, attempts),
                    started_ms = coalesce(?, started_ms), stopped_ms = ? WHERE job = ? AND idx = ? AND status = ?;

-- name: move_children
-- A range of children that are all in one state enters another.
UPDATE children SET status = ?, status_reason = ?, stopped_ms = ? WHERE job = ? AND idx >= ? AND idx < ? AND status = ?;

-- name: end_array
-- A job that is over without an attempt keeps, if it is an array, how many of its children SUCCEEDED.
UPDATE jobs SET succeeded = iif(size > 0, (SELECT count(*) FROM children WHERE job = ?1 AND status = 5), NULL)
WHERE seq = ?1;

-- name: open_attempt
-- An attempt has its place.
INSERT INTO attempts (job, idx, number, environment, instance, task, opened_ms, log, devices)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: begin_attempt
-- Its main process runs.
UPDATE attempts SET started_ms = ? WHERE job = ? AND idx = ? AND number = ?;

-- name: warn_attempt
-- It is interrupted, on Fargate Spot.
UPDATE attempts SET warned_ms = ?, reclaim_ms = ? WHERE job = ? AND idx = ? AND number = ? AND stopped_ms IS NULL;

-- name: close_attempt
-- It is over; only an open attempt can end.
UPDATE attempts SET started_ms = coalesce(?, started_ms), stopped_ms = ?, exit_code = ?, reason = ?, status_reason = ?,
                    peak_memory_bytes = ?, cpu_ms = ?, containers = ?
WHERE job = ? AND idx = ? AND number = ? AND stopped_ms IS NULL;

-- name: open_log
-- A container of it has a log of its own.
INSERT INTO container_logs (job, idx, number, name, log, task, opened_ms) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: close_logs
-- Nothing is written to such logs any more.
UPDATE container_logs SET stopped_ms = ? WHERE job = ? AND idx = ? AND number = ?;

-- name: stop_job
-- A cancel or terminate was accepted for the job.
UPDATE jobs SET stop_kind = ?, stop_reason = ? WHERE seq = ?;

-- name: stop_children
-- The same for a range of children.
UPDATE children SET stop_kind = ?, stop_reason = ? WHERE job = ? AND idx >= ? AND idx < ?;

-- name: journal
-- Tell it.
INSERT INTO journal (at_ms, kind, job, idx, hi, status, number, detail, before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: set_applied
-- Every request up to this number is part of the state.
UPDATE meta SET applied_seq = ?;

-- name: set_last_ms
-- The clock of this commit.
UPDATE meta SET last_ms = ?;
