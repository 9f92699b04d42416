-- state.db: where attempts and their containers log. What is asked of streams is answered with the name of the container,
-- '' for an attempt's own; a container may have written before its task counts as started.

-- name: add_group
-- A log group comes into being with its first attempt.
INSERT INTO log_groups (region, name, created_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: group
-- The group of a name in a region.
SELECT id, created_ms FROM log_groups WHERE region = ? AND name = ?;

-- name: groups
-- A region's groups after a name, by name, that begin with one text and hold another.
SELECT id, name, created_ms FROM log_groups
WHERE region = :region AND name > :after AND substr(name, 1, length(:prefix)) = :prefix AND instr(name, :part) > 0
ORDER BY name LIMIT :limit;

-- name: add_place
-- Streams of a new beginning come into being with their first attempt.
INSERT INTO log_places (grp, beginning) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: place
-- The place in a group of streams whose names begin so.
SELECT id FROM log_places WHERE grp = ? AND beginning = ?;

-- name: places
-- A group's places from a beginning on, in order.
SELECT id, beginning FROM log_places WHERE grp = ? AND beginning >= ? ORDER BY beginning;

-- name: places_down
-- Those up to a beginning, the other way.
SELECT id, beginning FROM log_places WHERE grp = ? AND beginning <= ? ORDER BY beginning DESC;

-- name: forget_place
-- A place goes with the last attempt that logged there.
DELETE FROM log_places WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE log = ?1)
  AND NOT EXISTS (SELECT 1 FROM container_logs WHERE log = ?1);

-- name: streams
-- Logs at a place, by task id from one to another.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name, a.task
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job CROSS JOIN log_places AS p ON p.id = a.log
WHERE a.log = ?1 AND a.task >= ?2 AND a.task <= ?3
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name, c.task
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job CROSS JOIN log_places AS p ON p.id = c.log
WHERE c.log = ?1 AND c.task >= ?2 AND c.task <= ?3
ORDER BY task;

-- name: streams_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name, a.task
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job CROSS JOIN log_places AS p ON p.id = a.log
WHERE a.log = ?1 AND a.task >= ?2 AND a.task <= ?3
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name, c.task
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job CROSS JOIN log_places AS p ON p.id = c.log
WHERE c.log = ?1 AND c.task >= ?2 AND c.task <= ?3
ORDER BY task DESC;

-- name: ended_up
-- Logs of attempts that ended, from a place in the order of ends on.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NOT NULL AND (a.stopped_ms, a.opened_ms, a.log, a.job, a.idx, a.number) > (?1, ?2, ?3, ?4, ?5, ?6)
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job LEFT JOIN log_places AS p ON p.id = c.log
WHERE c.stopped_ms IS NOT NULL AND (c.stopped_ms, c.opened_ms, c.log, c.job, c.idx, c.number) > (?1, ?2, ?3, ?4, ?5, ?6)
ORDER BY 7, 5, 10, 1, 2, 3;

-- name: ended_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NOT NULL AND (a.stopped_ms, a.opened_ms, a.log, a.job, a.idx, a.number) < (?1, ?2, ?3, ?4, ?5, ?6)
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job LEFT JOIN log_places AS p ON p.id = c.log
WHERE c.stopped_ms IS NOT NULL AND (c.stopped_ms, c.opened_ms, c.log, c.job, c.idx, c.number) < (?1, ?2, ?3, ?4, ?5, ?6)
ORDER BY 7 DESC, 5 DESC, 10 DESC, 1 DESC, 2 DESC, 3 DESC;

-- name: open_up
-- Logs of attempts that have not ended, from one of them on.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NULL AND (a.job, a.idx, a.number, a.log) > (?1, ?2, ?3, ?4)
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job LEFT JOIN log_places AS p ON p.id = c.log
WHERE c.stopped_ms IS NULL AND (c.job, c.idx, c.number, c.log) > (?1, ?2, ?3, ?4)
ORDER BY 1, 2, 3, 10;

-- name: open_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log, '' AS name
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NULL AND (a.job, a.idx, a.number, a.log) < (?1, ?2, ?3, ?4)
UNION ALL
SELECT c.job, c.idx, c.number, j.uuid, c.opened_ms, c.opened_ms, c.stopped_ms, p.beginning, p.grp, c.log, c.name
FROM container_logs AS c CROSS JOIN jobs AS j ON j.seq = c.job LEFT JOIN log_places AS p ON p.id = c.log
WHERE c.stopped_ms IS NULL AND (c.job, c.idx, c.number, c.log) < (?1, ?2, ?3, ?4)
ORDER BY 1 DESC, 2 DESC, 3 DESC, 10 DESC;

-- name: going_on
-- Logs of attempts that had not ended at a time, in the order in which they were opened; where they are counts unless
-- :any.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, iif(g.name = '', a.started_ms, a.opened_ms), a.stopped_ms,
       p.beginning, p.grp, g.log, g.name
FROM (
  SELECT job, idx, number, opened_ms, log, '' AS name FROM attempts
  WHERE stopped_ms IS NOT NULL AND stopped_ms >= :from AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  UNION ALL
  SELECT job, idx, number, opened_ms, log, '' AS name FROM attempts
  WHERE stopped_ms IS NULL AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  UNION ALL
  SELECT job, idx, number, opened_ms, log, name AS name FROM container_logs
  WHERE stopped_ms IS NOT NULL AND stopped_ms >= :from AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  UNION ALL
  SELECT job, idx, number, opened_ms, log, name AS name FROM container_logs
  WHERE stopped_ms IS NULL AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  ORDER BY opened_ms, job, idx, number, log LIMIT :limit
) AS g CROSS JOIN attempts AS a ON a.job = g.job AND a.idx = g.idx AND a.number = g.number
CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = g.log
ORDER BY g.opened_ms, g.job, g.idx, g.number, g.log;

-- name: several_groups
-- Whether there are more groups than one, of any region.
SELECT count(*) > 1 FROM (SELECT 1 FROM log_groups LIMIT 2);
