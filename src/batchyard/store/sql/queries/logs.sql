-- state.db: where attempts log.

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
DELETE FROM log_places WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE log = ?1);

-- name: streams
-- Attempts that log at a place, by task id from one to another.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job CROSS JOIN log_places AS p ON p.id = a.log
WHERE a.log = ? AND a.task >= ? AND a.task <= ? ORDER BY a.task;

-- name: streams_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job CROSS JOIN log_places AS p ON p.id = a.log
WHERE a.log = ? AND a.task >= ? AND a.task <= ? ORDER BY a.task DESC;

-- name: ended_up
-- Attempts that ended, from a place in the order of ends on.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NOT NULL AND (a.stopped_ms, a.opened_ms, a.log, a.job, a.idx, a.number) > (?, ?, ?, ?, ?, ?)
ORDER BY a.stopped_ms, a.opened_ms, a.log, a.job, a.idx, a.number;

-- name: ended_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NOT NULL AND (a.stopped_ms, a.opened_ms, a.log, a.job, a.idx, a.number) < (?, ?, ?, ?, ?, ?)
ORDER BY a.stopped_ms DESC, a.opened_ms DESC, a.log DESC, a.job DESC, a.idx DESC, a.number DESC;

-- name: open_up
-- Attempts that have not ended, from one of them on.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NULL AND (a.job, a.idx, a.number) > (?, ?, ?) ORDER BY a.job, a.idx, a.number;

-- name: open_down
-- The same the other way.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM attempts AS a CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
WHERE a.stopped_ms IS NULL AND (a.job, a.idx, a.number) < (?, ?, ?)
ORDER BY a.job DESC, a.idx DESC, a.number DESC;

-- name: going_on
-- Attempts that had not ended at a time, in the order in which they were opened; where they log counts unless :any.
SELECT a.job, a.idx, a.number, j.uuid, a.opened_ms, a.started_ms, a.stopped_ms, p.beginning, p.grp, a.log
FROM (
  SELECT job, idx, number, opened_ms FROM attempts
  WHERE stopped_ms IS NOT NULL AND stopped_ms >= :from AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  UNION ALL
  SELECT job, idx, number, opened_ms FROM attempts
  WHERE stopped_ms IS NULL AND opened_ms < :until AND (:any OR log IN (
    SELECT id FROM log_places WHERE grp = :group AND beginning >= :low AND beginning <= :high))
  ORDER BY opened_ms, job, idx, number LIMIT :limit
) AS g CROSS JOIN attempts AS a ON a.job = g.job AND a.idx = g.idx AND a.number = g.number
CROSS JOIN jobs AS j ON j.seq = a.job LEFT JOIN log_places AS p ON p.id = a.log
ORDER BY g.opened_ms, g.job, g.idx, g.number;

-- name: several_groups
-- Whether there are more groups than one, of any region.
SELECT count(*) > 1 FROM (SELECT 1 FROM log_groups LIMIT 2);
