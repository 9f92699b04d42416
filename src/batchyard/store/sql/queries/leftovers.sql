-- requests.db: what nobody needs any more of environments, queues and definitions.

-- name: oldest_job
-- The number of the oldest job that is known.
SELECT min(seq) FROM jobs;

-- name: changes
-- Some changes above a number, in order.
SELECT seq, subject, at_ms FROM changes WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: delete_superseded
-- A change goes if a later one of the same thing was applied, and is older than a time, too.
DELETE FROM changes WHERE seq = :seq AND EXISTS (
  SELECT 1 FROM changes AS later
  WHERE later.subject = :subject AND later.seq > :seq AND later.seq <= :applied AND later.at_ms < :before
);

-- name: consumables
-- Some names of consumable resources that there are not, that no job asks for, and of which nothing was asked lately.
SELECT id FROM consumables AS c WHERE created_ms IS NULL AND seq <= :applied
  AND NOT EXISTS (SELECT 1 FROM asks WHERE consumable = c.id)
  AND NOT EXISTS (SELECT 1 FROM changes WHERE subject = c.id AND at_ms >= :before) LIMIT :most;

-- name: delete_consumable
-- A name is known no more.
DELETE FROM consumables WHERE id = ?;

-- name: environments
-- Some environments whose deletion was asked for before a time and before a request number, the first ones first.
SELECT id FROM environments WHERE deleted_ms < ? AND seq < ? ORDER BY seq LIMIT ?;

-- name: queues
-- Some queues, likewise.
SELECT id FROM queues WHERE deleted_ms < ? AND seq < ? ORDER BY seq LIMIT ?;

-- name: delete_environment
-- An environment is known no more.
DELETE FROM environments WHERE id = ?;

-- name: delete_queue
-- A queue is known no more.
DELETE FROM queues WHERE id = ?;

-- name: delete_interruptions
-- Wishes to have Spot capacity interrupted that were applied, and are older than a time.
DELETE FROM interruptions WHERE seq IN (
  SELECT seq FROM interruptions WHERE seq <= :applied AND at_ms < :before ORDER BY seq LIMIT :most
);

-- name: delete_changes
-- All changes of an environment or queue go.
DELETE FROM changes WHERE subject = ?;

-- name: definitions
-- Some revisions that were deregistered before a time and before a request number, the first ones first.
SELECT id FROM definitions WHERE inactive_ms < ? AND inactive_seq < ? ORDER BY inactive_ms LIMIT ?;

-- name: delete_definition
-- A revision is known no more.
DELETE FROM definitions WHERE id = ?;

-- name: gone
-- Which of given environments and queues (a JSON list of numbers) are known no more.
SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM environments) AND value NOT IN (SELECT id FROM queues);
