-- observe.db: who follows the journal, and where they stand.

-- name: enrol
-- A follower that was not there before begins after an entry.
INSERT OR IGNORE INTO followers (name, n) VALUES (?, ?);

-- name: dismiss
-- Followers that are not among those named (a JSON list) are forgotten.
DELETE FROM followers WHERE name NOT IN (SELECT value FROM json_each(?));

-- name: fall_back
-- Nobody is ahead of the journal; who was, was so in a journal that is no more.
UPDATE followers SET n = ?1 WHERE n > ?1 RETURNING name;

-- name: cursor
-- Where a follower stands.
SELECT n, lost, memo FROM followers WHERE name = ?;

-- name: move
-- A follower is done with everything up to an entry; a memo that is NULL leaves the old one.
UPDATE followers SET n = ?, lost = lost + ?, memo = coalesce(?, memo) WHERE name = ?;

-- name: note
-- What goes wrong with a follower.
UPDATE followers SET failure = ?, failing_ms = ? WHERE name = ?;

-- name: all
-- All followers and how they are.
SELECT name, n, lost, failure, failing_ms FROM followers ORDER BY name;
