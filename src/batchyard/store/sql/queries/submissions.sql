-- requests.db: jobs as they were asked for, and their bodies.

-- name: by_idempotency
-- The job that a submission with this key made.
SELECT uuid FROM jobs WHERE idempotency = ?;

-- name: guards
-- What a submission depends on: its queue's and its definition's name and switch; NULL where there is none.
SELECT q.name, q.enabled, d.name, d.revision, d.active FROM (SELECT 1)
LEFT JOIN queues AS q ON q.id = :queue LEFT JOIN definitions AS d ON d.id = :definition;

-- name: known
-- The number, size and region of a job by its UUID.
SELECT seq, size, region FROM jobs WHERE uuid = ?;

-- name: insert_text
-- A job's body under its hash; an equal one may be there.
INSERT OR IGNORE INTO texts (hash, body) VALUES (?, ?);

-- name: insert
-- A new job.
INSERT INTO jobs (seq, uuid, region, name, queue, definition, created_ms, size, cpu_milli, memory_mib, gpus,
                  timeout_s, retry, upstreams, consumables, share, priority, text, idempotency, nodes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: after
-- What the scheduler needs of the jobs that came after a request number, in order.
SELECT seq, uuid, queue, size, cpu_milli, memory_mib, gpus, retry, upstreams, timeout_s,
       consumables, share, priority, nodes FROM jobs
WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: for_restore
-- The same of given jobs (a JSON list of numbers), in order.
SELECT seq, uuid, queue, size, cpu_milli, memory_mib, gpus, retry, upstreams, timeout_s,
       consumables, share, priority, nodes FROM jobs
WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq;

-- name: for_attempt
-- What an executor needs of a job.
SELECT j.uuid, j.name, j.size, j.region, q.name, d.name, j.cpu_milli, j.memory_mib, j.gpus, j.timeout_s, j.nodes, t.body
FROM jobs AS j JOIN texts AS t ON t.hash = j.text JOIN queues AS q ON q.id = j.queue
JOIN definitions AS d ON d.id = j.definition WHERE j.seq = ?;

-- name: by_uuid
-- A job and its body by region and UUID.
SELECT j.seq, j.uuid, j.region, j.name, j.queue, j.definition, j.created_ms, j.size, j.nodes, j.upstreams, j.share, t.body
FROM jobs AS j JOIN texts AS t ON t.hash = j.text WHERE j.uuid = ? AND j.region = ?;

-- name: summary
-- A job without its body.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs WHERE seq = ?;

-- name: summaries
-- Given jobs (a JSON list of numbers) without their bodies, newest first.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs
WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq DESC;

-- name: waiting
-- A queue's jobs that the state does not hold yet (numbers between two bounds, exclusive), newest first.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs
WHERE seq > :applied AND seq < :before AND queue = :queue ORDER BY seq DESC LIMIT :limit;

-- name: between_shares
-- Those among them whose share identifier begins with a text.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs
WHERE queue = :queue AND seq >= :from AND seq < :before AND substr(share, 1, :length) = :text
ORDER BY seq DESC LIMIT :limit;

-- name: shares_after
-- The shares of jobs above a number, and the latest such job of each.
SELECT queue, share, max(seq) FROM jobs WHERE seq > ? AND share IS NOT NULL GROUP BY queue, share;

-- name: size
-- The number of children asked for.
SELECT size FROM jobs WHERE seq = ?;

-- name: oldest_seen
-- The job that lies so many jobs of its queue below a number; none if there are fewer.
SELECT seq FROM jobs WHERE queue = ? AND seq < ? ORDER BY seq DESC LIMIT 1 OFFSET ?;

-- name: bounds
-- The lowest and the highest number of a job.
SELECT (SELECT min(seq) FROM jobs), (SELECT max(seq) FROM jobs);

-- name: created_from
-- When the first job from a number on was created.
SELECT seq, created_ms FROM jobs WHERE seq >= ? ORDER BY seq LIMIT 1;

-- name: between
-- A queue's jobs from one number up to, not including, another, newest first.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs
WHERE queue = :queue AND seq >= :from AND seq < :before ORDER BY seq DESC LIMIT :limit;

-- name: between_named
-- Those among them whose name begins with a text, in any case.
SELECT seq, uuid, region, name, queue, definition, created_ms, size, nodes, upstreams, share, NULL FROM jobs
WHERE queue = :queue AND seq >= :from AND seq < :before AND substr(name, 1, :length) = :text COLLATE NOCASE
ORDER BY seq DESC LIMIT :limit;

-- name: between_defined
-- Those among them whose definition's name begins with a text; a NULL revision: any.
SELECT j.seq, j.uuid, j.region, j.name, j.queue, j.definition, j.created_ms, j.size, j.nodes, j.upstreams, j.share, NULL
FROM jobs AS j CROSS JOIN definitions AS d ON d.id = j.definition
WHERE j.queue = :queue AND j.seq >= :from AND j.seq < :before AND substr(d.name, 1, :length) = :text
  AND (:revision IS NULL OR d.revision = :revision)
ORDER BY j.seq DESC LIMIT :limit;

-- name: by_seq
-- A job and its body by its number.
SELECT j.seq, j.uuid, j.region, j.name, j.queue, j.definition, j.created_ms, j.size, j.nodes, j.upstreams, j.share, t.body
FROM jobs AS j JOIN texts AS t ON t.hash = j.text WHERE j.seq = ?;

-- name: names
-- What given jobs (a JSON list of numbers) are called.
SELECT seq, name FROM jobs WHERE seq IN (SELECT value FROM json_each(?));

-- name: still_there
-- Whether a job is there, and its tags if they were changed.
SELECT t.tags FROM jobs AS j LEFT JOIN tags AS t ON t.id = j.seq WHERE j.seq = ?;

-- name: needs
-- What a job asks of a machine, and of consumable resources.
SELECT cpu_milli, memory_mib, gpus, consumables FROM jobs WHERE seq = ?;

-- name: backlog
-- How many jobs and wishes there are above a number, and when the first job among them was submitted.
SELECT (SELECT count(*) FROM jobs WHERE seq > ?1) + (SELECT count(*) FROM wishes WHERE seq > ?1),
       (SELECT created_ms FROM jobs WHERE seq > ?1 ORDER BY seq LIMIT 1);
