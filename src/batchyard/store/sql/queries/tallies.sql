-- metrics.db: what was counted, and who waits.

-- name: counted
-- How far the counting is.
SELECT n, at_ms, job, asked_seq, missed, adrift FROM counted;

-- name: set_counted
-- It is so far now.
INSERT OR REPLACE INTO counted (one, n, at_ms, job, asked_seq, missed, adrift) VALUES (1, ?, ?, ?, ?, ?, ?);

-- name: uncount
-- It never began.
DELETE FROM counted;

-- name: series
-- All numbers.
SELECT metric, owner, label, value FROM series;

-- name: set_series
-- A number as it is now.
INSERT OR REPLACE INTO series (metric, owner, label, value) VALUES (?, ?, ?, ?);

-- name: clear_series
-- There are no numbers.
DELETE FROM series;

-- name: forget_series
-- A queue's or environment's numbers go.
DELETE FROM series WHERE owner = ?;

-- name: wait
-- A range waits; one that waits already (something was missed) does so from here on.
INSERT OR REPLACE INTO waiting (job, lo, hi, queue, since_ms) VALUES (?, ?, ?, ?, ?);

-- name: waiting_at
-- The ranges of a job that have something of [?2, ?3) in them.
SELECT id, lo, hi, queue, since_ms FROM waiting
WHERE job = ?1 AND lo < ?3 AND lo >= coalesce((SELECT max(lo) FROM waiting WHERE job = ?1 AND lo <= ?2), ?2) AND hi > ?2;

-- name: cut_front
-- The first of a range wait no longer.
UPDATE waiting SET lo = ? WHERE id = ?;

-- name: cut_back
-- The last of a range wait no longer.
UPDATE waiting SET hi = ? WHERE id = ?;

-- name: wait_no_more
-- A range waits no longer.
DELETE FROM waiting WHERE id = ?;

-- name: nobody_waits
-- Nobody waits.
DELETE FROM waiting;

-- name: oldest
-- Since when the first of a queue waits.
SELECT min(since_ms) FROM waiting WHERE queue = ?;

-- name: waiting_queues
-- The first queue above a number in which somebody waits.
SELECT min(queue) FROM waiting WHERE queue > ?;
