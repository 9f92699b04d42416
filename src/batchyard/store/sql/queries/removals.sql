-- requests.db: jobs that go for good.

-- name: gone
-- Which of given jobs (a JSON list of numbers) are no longer there.
SELECT value FROM json_each(?) WHERE value NOT IN (SELECT seq FROM jobs);

-- name: there
-- Which of given jobs are there, in order, and the hashes of their bodies.
SELECT seq, text FROM jobs WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq;

-- name: waiting_after
-- What the jobs after a number wait for.
SELECT upstreams FROM jobs WHERE seq > ? AND upstreams IS NOT NULL;

-- name: delete_job
-- A job goes.
DELETE FROM jobs WHERE seq = ?;

-- name: delete_wishes
-- What was wished of it goes.
DELETE FROM wishes WHERE job = ?;

-- name: delete_text
-- A body goes if no job has it any more.
DELETE FROM texts WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE text = ?1);
