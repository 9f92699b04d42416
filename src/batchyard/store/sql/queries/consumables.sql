-- requests.db: consumable resources by name, and what jobs ask for of them.

-- name: by_name
-- The resource with this name; created_ms is NULL if there is none, though jobs may ask for it.
SELECT id, region, name, replenishable, granted, born, body, created_ms FROM consumables WHERE region = ? AND name = ?;

-- name: insert
-- A name that was never heard before.
INSERT INTO consumables (id, seq, region, name, folded, replenishable, granted, born, body, created_ms)
VALUES (?1, ?1, ?2, ?3, lower(?3), ?4, ?5, ?1, ?6, ?7);

-- name: create
-- A resource is created, maybe once more, under a name that was heard before.
UPDATE consumables SET seq = ?2, born = ?2, replenishable = ?3, granted = ?4, body = ?5, created_ms = ?6 WHERE id = ?1;

-- name: grant
-- More or less of it.
UPDATE consumables SET seq = ?2, granted = ?3 WHERE id = ?1;

-- name: delete
-- There is none any more.
UPDATE consumables SET seq = ?2, created_ms = NULL WHERE id = ?1;

-- name: count
-- How many there are in a region.
SELECT count(*) FROM consumables WHERE region = ? AND created_ms IS NOT NULL;

-- name: page
-- Those of a region whose names begin so in any case, by name, after a given one.
SELECT id, region, name, replenishable, granted, born, body, created_ms FROM consumables
WHERE region = :region AND created_ms IS NOT NULL AND folded >= :least AND folded < :bound
  AND (folded, name) > (:after_folded, :after_name) ORDER BY folded, name LIMIT :limit;

-- name: ask
-- A job asks for so much of one.
INSERT INTO asks (consumable, job, quantity) VALUES (?, ?, ?);

-- name: asking
-- Some of the jobs below a number that ask for it, newest first.
SELECT job, quantity FROM asks WHERE consumable = ? AND job < ? ORDER BY job DESC LIMIT ?;

-- name: asking_of
-- Those of given jobs (a JSON list of numbers) that ask for it.
SELECT job, quantity FROM asks WHERE consumable = ? AND job IN (SELECT value FROM json_each(?)) ORDER BY job DESC;

-- name: asks_no_more
-- A job goes, and what it asked for.
DELETE FROM asks WHERE job = ?1 AND consumable IN (
  SELECT json_extract(a.value, '$[0]') FROM jobs AS j, json_each(j.consumables) AS a WHERE j.seq = ?1
);

-- name: name_of
-- What the resource with this number is called.
SELECT name FROM consumables WHERE id = ?;
