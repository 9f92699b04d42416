-- requests.db: what is counted.

-- name: submitted
-- Submissions above a number, in order.
SELECT seq, queue, size FROM jobs WHERE seq > ? ORDER BY seq;

-- name: submitted_by_queue
-- Jobs that were submitted above a number, by queue; children of arrays each.
SELECT queue, sum(max(size, 1)) FROM jobs WHERE seq > ? GROUP BY queue;

-- name: needs
-- What an attempt of a job holds.
SELECT cpu_milli, memory_mib, gpus, nodes FROM jobs WHERE seq = ?;

-- name: queues
-- All queues, those that are gone among them.
SELECT id, region, name FROM queues ORDER BY id;

-- name: environments
-- All compute environments, likewise, where they draw their room, and what managed ones may hold.
SELECT id, region, name, provider, iif(kind = 'MANAGED', json_extract(body, '$.computeResources.maxvCpus'), NULL)
FROM environments ORDER BY id;

-- name: waiting
-- How many requests of any kind there are above a number.
SELECT (SELECT count(*) FROM jobs WHERE seq > ?1) + (SELECT count(*) FROM wishes WHERE seq > ?1)
     + (SELECT count(*) FROM changes WHERE seq > ?1);
