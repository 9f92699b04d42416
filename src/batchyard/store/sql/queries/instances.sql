-- state.db: instances of managed environments.

-- name: record_timing
-- The settings that decisions read, as they used them.
INSERT INTO timing (one, body) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET body = ?1;

-- name: timing
-- The same, to go on with.
SELECT body FROM timing;

-- name: launch
-- An instance exists.
INSERT INTO instances (number, id, environment, type, cpu_milli, memory_mib, gpus, usable_mib, launched_ms, ready_ms,
                       idle_since_ms, reserved, devices)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: idle
-- The last job on it is over, or the one that it was reserved for does not come.
UPDATE instances SET idle_since_ms = ?, reserved = 0 WHERE number = ? AND ended_ms IS NULL;

-- name: warn
-- It is to go though attempts are open on it, or sooner than was said before.
UPDATE instances SET warned_ms = ?1, reclaim_ms = ?2, cause = ?3, reclaimed_ms = ?4
WHERE number = ?5 AND ended_ms IS NULL AND (warned_ms IS NULL OR (reclaim_ms > ?2 AND reclaimed_ms IS NULL));

-- name: reclaim
-- What was still open on it is told to die.
UPDATE instances SET reclaimed_ms = ? WHERE number = ? AND ended_ms IS NULL AND reclaimed_ms IS NULL;

-- name: ended
-- It is gone.
UPDATE instances SET ended_ms = ?, reason = ? WHERE number = ? AND ended_ms IS NULL;

-- name: there
-- All that exist, in order of launch.
SELECT number, id, environment, type, cpu_milli, memory_mib, gpus, usable_mib, launched_ms, ready_ms, idle_since_ms,
       reserved, devices, warned_ms, reclaim_ms, cause, reclaimed_ms
FROM instances WHERE ended_ms IS NULL ORDER BY number;

-- name: of_environment
-- Those of one environment.
SELECT number, id, environment, type, cpu_milli, memory_mib, gpus, usable_mib, launched_ms, ready_ms, idle_since_ms,
       reserved, devices, warned_ms, reclaim_ms, cause, reclaimed_ms
FROM instances WHERE environment = ? AND ended_ms IS NULL ORDER BY number;

-- name: by_name
-- One that exists, by its id.
SELECT number, id, environment, type, cpu_milli, memory_mib, gpus, usable_mib, launched_ms, ready_ms, idle_since_ms,
       reserved, devices, warned_ms, reclaim_ms, cause, reclaimed_ms
FROM instances WHERE id = ? AND ended_ms IS NULL;

-- name: open_in
-- Attempts that are open in an environment.
SELECT a.job, a.idx, j.uuid, a.instance, a.reclaim_ms FROM attempts AS a JOIN jobs AS j ON j.seq = a.job
WHERE a.stopped_ms IS NULL AND a.environment = ? ORDER BY a.job, a.idx;

-- name: latest
-- The highest number that was given out.
SELECT coalesce(max(number), 0) FROM instances;

-- name: forget
-- Some that are gone for longer than finished jobs are kept; the latest stays, for its number.
DELETE FROM instances WHERE number IN (
  SELECT number FROM instances WHERE ended_ms < ?1 AND number < (SELECT max(number) FROM instances)
  ORDER BY number LIMIT ?2
);
