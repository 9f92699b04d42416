-- state.db: with requests.db attached as `asked`, what must hold. Each row of an answer is something wrong, in words.
-- Most ask about the jobs whose numbers are above :after and up to :until.

-- name: next_jobs
-- Numbers and sizes of jobs, in either file, in order.
SELECT seq, max(size) FROM (
  SELECT * FROM (SELECT seq, max(size, nodes) AS size FROM main.jobs WHERE seq > :after ORDER BY seq LIMIT :limit)
  UNION ALL
  SELECT * FROM (SELECT seq, size FROM asked.jobs WHERE seq > :after ORDER BY seq LIMIT :limit)
) GROUP BY seq ORDER BY seq LIMIT :limit;

-- name: numbers
-- Numbers only grow, and what was applied was given out before.
SELECT 'requests up to ' || s.applied_seq || ' are applied, but only ' || r.last_seq || ' were given out'
FROM main.meta AS s, asked.meta AS r WHERE s.applied_seq > r.last_seq
UNION ALL
SELECT 'request ' || m.seq || ' is above ' || r.last_seq || ', the last number that was given out'
FROM asked.meta AS r, (SELECT max(seq) AS seq FROM asked.jobs) AS m WHERE m.seq > r.last_seq
UNION ALL
SELECT 'job ' || m.seq || ' is above ' || r.last_seq || ', the last number that was given out'
FROM asked.meta AS r, (SELECT max(seq) AS seq FROM main.jobs) AS m WHERE m.seq > r.last_seq;

-- name: requests
-- A job that is not on its way out has its request and the same key facts; what was applied has a job.
SELECT 'job ' || s.seq || ' has no request' FROM main.jobs AS s
WHERE s.seq > :after AND s.seq <= :until AND NOT EXISTS (SELECT 1 FROM asked.jobs AS r WHERE r.seq = s.seq)
  AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = s.seq)
UNION ALL
SELECT 'request ' || r.seq || ' was applied and has no job' FROM asked.jobs AS r
WHERE r.seq > :after AND r.seq <= :until AND r.seq <= (SELECT applied_seq FROM main.meta)
  AND NOT EXISTS (SELECT 1 FROM main.jobs AS s WHERE s.seq = r.seq)
UNION ALL
SELECT 'job ' || s.seq || ' is not the job that its request asks for (id, queue or size differ)'
FROM main.jobs AS s JOIN asked.jobs AS r ON r.seq = s.seq
WHERE s.seq > :after AND s.seq <= :until AND (s.uuid <> r.uuid OR s.queue <> r.queue OR s.size <> r.size);

-- name: texts
-- What a request names is there.
SELECT 'request ' || r.seq || ' has no body' FROM asked.jobs AS r
WHERE r.seq > :after AND r.seq <= :until AND NOT EXISTS (SELECT 1 FROM asked.texts AS t WHERE t.hash = r.text)
UNION ALL
SELECT 'request ' || r.seq || ' names queue ' || r.queue || ', which is not there' FROM asked.jobs AS r
WHERE r.seq > :after AND r.seq <= :until AND NOT EXISTS (SELECT 1 FROM asked.queues AS q WHERE q.id = r.queue)
UNION ALL
SELECT 'request ' || r.seq || ' names definition ' || r.definition || ', which is not there' FROM asked.jobs AS r
WHERE r.seq > :after AND r.seq <= :until
  AND NOT EXISTS (SELECT 1 FROM asked.definitions AS d WHERE d.id = r.definition);

-- name: arrays
-- Children are numbered from 0 to the size; an array is over exactly when all of them are, and FAILED if one is.
WITH counted AS (
  SELECT j.seq, j.size, j.status, j.succeeded, count(c.idx) AS there, min(c.idx) AS lo, max(c.idx) AS hi,
         sum(c.status = 5) AS succeeded_now, sum(c.status = 6) AS failed_now
  FROM main.jobs AS j LEFT JOIN main.children AS c ON c.job = j.seq
  WHERE j.seq > :after AND j.seq <= :until AND j.size > 0
    AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = j.seq)
  GROUP BY j.seq
)
SELECT 'array ' || seq || ' has ' || there || ' children instead of ' || size FROM counted
WHERE there <> size OR lo <> 0 OR hi <> size - 1
UNION ALL
SELECT 'array ' || seq || ' is over and ' || (there - succeeded_now - failed_now) || ' of its children are not'
FROM counted WHERE there = size AND status >= 5 AND succeeded_now + failed_now < size
UNION ALL
SELECT 'array ' || seq || ' is not over, and all of its children are' FROM counted
WHERE there = size AND status < 5 AND succeeded_now + failed_now = size
UNION ALL
SELECT 'array ' || seq || ' SUCCEEDED with ' || failed_now || ' children FAILED' FROM counted
WHERE there = size AND status = 5 AND failed_now > 0
UNION ALL
SELECT 'array ' || seq || ' FAILED, and none of its children did' FROM counted
WHERE there = size AND status = 6 AND failed_now = 0 AND succeeded_now = size
UNION ALL
SELECT 'array ' || seq || ' counts ' || succeeded || ' children that SUCCEEDED, there are ' || succeeded_now FROM counted
WHERE there = size AND status >= 5 AND succeeded <> succeeded_now
UNION ALL
SELECT 'job ' || seq || ' has ' || nodes || ' nodes, and rows for ' || there || ' beside its main one' FROM (
  SELECT j.seq, j.nodes, (SELECT count(*) FROM main.children AS c WHERE c.job = j.seq AND c.idx >= 1000000) AS there
  FROM main.jobs AS j WHERE j.seq > :after AND j.seq <= :until AND j.nodes > 0
    AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = j.seq)
) WHERE there <> nodes - 1
UNION ALL
SELECT 'job ' || j.seq || ' is no array and has children' FROM main.jobs AS j
WHERE j.seq > :after AND j.seq <= :until AND j.size = 0 AND j.nodes = 0 AND EXISTS (SELECT 1 FROM main.children AS c WHERE c.job = j.seq);

-- name: attempts
-- A job that is STARTING or RUNNING has exactly its latest attempt open, no other has one; numbers have no gaps.
WITH units AS (
  SELECT j.seq AS job, -1 AS idx, j.status, j.attempts AS latest FROM main.jobs AS j
  WHERE j.seq > :after AND j.seq <= :until AND j.size = 0
    AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = j.seq)
  UNION ALL
  SELECT c.job, c.idx, c.status, c.attempts FROM main.children AS c
  WHERE c.job > :after AND c.job <= :until AND c.attempts + (c.status IN (3, 4)) > 0
    AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = c.job)
), tried AS (
  SELECT u.job, u.idx, u.status, u.latest, count(a.number) AS there, coalesce(max(a.number), 0) AS highest,
         sum(a.number IS NOT NULL AND a.stopped_ms IS NULL) AS open,
         max(CASE WHEN a.stopped_ms IS NULL THEN a.number END) AS open_number,
         max(CASE WHEN a.stopped_ms IS NULL THEN a.started_ms END) AS open_since
  FROM units AS u LEFT JOIN main.attempts AS a ON a.job = u.job AND a.idx = u.idx GROUP BY u.job, u.idx
), named AS (
  SELECT *, CASE idx WHEN -1 THEN 'job ' || job ELSE 'child ' || idx || ' of array ' || job END AS name FROM tried
)
SELECT name || ' has ' || there || ' attempts, the latest is said to be ' || latest FROM named
WHERE there <> latest OR highest <> latest
UNION ALL
SELECT name || ' is STARTING or RUNNING and has no open attempt' FROM named WHERE status IN (3, 4) AND open = 0
UNION ALL
SELECT name || ' has ' || open || ' open attempts' FROM named WHERE open > 1
UNION ALL
SELECT name || ' is over and its attempt ' || open_number || ' is open' FROM named WHERE status >= 5 AND open > 0
UNION ALL
SELECT name || ' waits and its attempt ' || open_number || ' is open' FROM named WHERE status < 3 AND open > 0
UNION ALL
SELECT name || ' has attempt ' || open_number || ' open, which is not its latest' FROM named
WHERE status IN (3, 4) AND open = 1 AND open_number <> latest
UNION ALL
SELECT name || ' is STARTING and its attempt runs, or RUNNING and it does not' FROM named
WHERE status IN (3, 4) AND open = 1 AND (status = 4) <> (open_since IS NOT NULL)
UNION ALL
SELECT 'attempt ' || a.number || ' of job ' || a.job || ' (index ' || a.idx || ') belongs to nothing'
FROM main.attempts AS a WHERE a.job > :after AND a.job <= :until
  AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = a.job)
  AND CASE a.idx WHEN -1 THEN NOT EXISTS (SELECT 1 FROM main.jobs AS j WHERE j.seq = a.job AND j.size = 0)
      ELSE NOT EXISTS (SELECT 1 FROM main.children AS c WHERE c.job = a.job AND c.idx = a.idx) END
UNION ALL
SELECT 'the log of container ' || l.name || ' of attempt ' || l.number || ' of job ' || l.job || ' (index ' || l.idx ||
       ') does not fit its attempt'
FROM main.container_logs AS l WHERE l.job > :after AND l.job <= :until
  AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = l.job)
  AND NOT EXISTS (SELECT 1 FROM main.attempts AS a WHERE a.job = l.job AND a.idx = l.idx AND a.number = l.number
                  AND a.log = 0 AND a.task = l.task AND a.stopped_ms IS l.stopped_ms);

-- name: journal
-- What was told of a job, whole, is its life without a gap, and the last state told is its state.
SELECT 'job ' || job || ' is in state ' || status || ', the journal told ' || coalesce(told, 'nothing') FROM (
  SELECT j.seq AS job, j.status, (
    SELECT e.status FROM main.journal AS e WHERE e.job = j.seq AND e.idx = -1 AND e.status IS NOT NULL
    ORDER BY e.n DESC LIMIT 1
  ) AS told
  FROM main.jobs AS j WHERE j.seq > :after AND j.seq <= :until
    AND NOT EXISTS (SELECT 1 FROM main.retiring AS g WHERE g.seq = j.seq)
) WHERE told IS NULL OR told <> status
UNION ALL
SELECT 'entry ' || n || ' of the journal has job ' || job || ' leave state ' || before || ', which was in ' || earlier FROM (
  SELECT n, job, before, lag(status) OVER (PARTITION BY job ORDER BY n) AS earlier FROM main.journal
  WHERE job > :after AND job <= :until AND idx = -1 AND status IS NOT NULL
) WHERE before <> earlier;

-- name: wishes
-- A wish is of a job that is there.
SELECT 'wish ' || w.seq || ' names job ' || w.job || ', which is not there' FROM asked.wishes AS w
WHERE w.job > :after AND w.job <= :until AND NOT EXISTS (SELECT 1 FROM asked.jobs AS r WHERE r.seq = w.job);

-- name: places
-- What is deleted in state.db was asked to be in requests.db; nothing of it lives and no queue that stays names it.
SELECT 'environment ' || e.id || ' is gone, and nobody asked for that' FROM asked.environments AS e
JOIN main.deleted AS d ON d.id = e.id WHERE e.deleted_ms IS NULL
UNION ALL
SELECT 'queue ' || q.id || ' is gone, and nobody asked for that' FROM asked.queues AS q
JOIN main.deleted AS d ON d.id = q.id WHERE q.deleted_ms IS NULL
UNION ALL
SELECT 'queue ' || d.id || ' is gone, and job ' || min(j.seq) || ' of it lives' FROM main.deleted AS d
JOIN main.jobs AS j ON j.queue = d.id WHERE j.status < 5 GROUP BY d.id
UNION ALL
SELECT 'environment ' || a.environment || ' is gone, and an attempt of job ' || min(a.job) || ' is open in it'
FROM main.attempts AS a WHERE a.stopped_ms IS NULL AND a.environment IN (SELECT id FROM main.deleted) GROUP BY a.environment
UNION ALL
SELECT 'an instance of environment ' || i.environment || ' exists, which is gone' FROM main.instances AS i
WHERE i.ended_ms IS NULL AND i.environment IN (SELECT id FROM main.deleted)
UNION ALL
SELECT 'queue ' || q.id || ' names environment ' || named.value || ', which is not there'
FROM asked.queues AS q, json_each(q.environments) AS named
WHERE q.deleted_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM asked.environments AS e WHERE e.id = named.value AND e.deleted_ms IS NULL);

-- name: changes
-- The engine is told what the rows say: the last change of each is the one that its row names, and has its value.
WITH places AS (
  SELECT 'environment' AS kind, id, seq, enabled, deleted_ms, '$[2]' AS is_enabled, '$[3]' AS is_deleting
  FROM asked.environments
  UNION ALL
  SELECT 'queue', id, seq, enabled, deleted_ms, '$[1]', '$[2]' FROM asked.queues
), latest AS (
  SELECT subject, kind, max(seq) AS seq, value FROM asked.changes WHERE kind IN ('environment', 'queue')
  GROUP BY subject, kind
), told AS (
  SELECT p.*, l.seq AS told_seq, json_extract(l.value, p.is_enabled) AS told_enabled,
         json_extract(l.value, p.is_deleting) AS told_deleting
  FROM places AS p LEFT JOIN latest AS l ON l.subject = p.id AND l.kind = p.kind
)
SELECT kind || ' ' || id || ' was changed last by ' || coalesce(told_seq, 'nothing') || ', its row says ' || seq
FROM told WHERE told_seq IS NULL OR told_seq <> seq
UNION ALL
SELECT kind || ' ' || id || ' is to be deleted by its row or its last change, and not by both' FROM told
WHERE told_seq = seq AND (deleted_ms IS NOT NULL) <> told_deleting
UNION ALL
SELECT kind || ' ' || id || ' is ENABLED by its row or its last change, and not by both' FROM told
WHERE told_seq = seq AND deleted_ms IS NULL AND enabled <> told_enabled
UNION ALL
SELECT 'change ' || c.seq || ' is of ' || c.kind || ' ' || c.subject || ', which is not there' FROM asked.changes AS c
WHERE c.kind IN ('environment', 'queue') AND NOT EXISTS (SELECT 1 FROM places AS p WHERE p.id = c.subject AND p.kind = c.kind)
UNION ALL
SELECT 'change ' || m.seq || ' is above ' || r.last_seq || ', the last number that was given out'
FROM asked.meta AS r, (SELECT max(seq) AS seq FROM asked.changes) AS m WHERE m.seq > r.last_seq
UNION ALL
SELECT 'definition ' || d.id || ' is ACTIVE and was deregistered, or neither' FROM asked.definitions AS d
WHERE d.active <> (d.inactive_ms IS NULL);

-- name: blocks
-- A queue is blocked by a job of its own, which says so as long as it is RUNNABLE.
WITH heads AS (
  SELECT b.*, j.queue AS of_queue, iif(b.idx < 0, j.status, c.status) AS status,
         iif(b.idx < 0, j.status_reason, c.status_reason) AS said
  FROM main.blocks AS b LEFT JOIN main.jobs AS j ON j.seq = b.job
  LEFT JOIN main.children AS c ON c.job = b.job AND c.idx = b.idx
)
SELECT 'queue ' || queue || ' is blocked and gone' FROM heads WHERE queue IN (SELECT id FROM main.deleted)
UNION ALL
SELECT 'queue ' || queue || ' is blocked by job ' || job || ', which is none of its jobs' FROM heads
WHERE of_queue IS NULL OR of_queue <> queue OR status IS NULL
UNION ALL
SELECT 'job ' || job || ' blocks queue ' || queue || ' and does not say so' FROM heads
WHERE told AND status = 2 AND said IS NOT reason;

-- name: shares
-- A job is of a share exactly if its queue has a scheduling policy; the engine has a row for each share with live jobs.
SELECT 'request ' || r.seq || ' is of ' || coalesce('share ' || r.share, 'no share')
       || iif(q.policy IS NULL, ', its queue has no scheduling policy', ', its queue has a scheduling policy')
FROM asked.jobs AS r JOIN asked.queues AS q ON q.id = r.queue
WHERE r.seq > :after AND r.seq <= :until AND (r.share IS NULL) <> (q.policy IS NULL)
UNION ALL
SELECT 'job ' || s.seq || ' lives, and its share ' || r.share || ' is not active'
FROM main.jobs AS s JOIN asked.jobs AS r ON r.seq = s.seq
WHERE s.seq > :after AND s.seq <= :until AND s.status < 5 AND r.share IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM main.shares AS h WHERE h.queue = s.queue AND h.share = r.share);

-- name: policies
-- A policy stays while a queue goes by it that is not gone.
SELECT 'queue ' || id || ' goes by scheduling policy ' || policy || ', which is not there' FROM asked.queues
WHERE policy IS NOT NULL AND policy NOT IN (SELECT id FROM asked.policies) AND id NOT IN (SELECT id FROM main.deleted);

-- name: resources
-- What is told to be in use of each consumable resource is what its open attempts ask for; a multi-node job asks once for
-- all of its nodes, until the last of them is closed (nodes are numbered from 1000000 on, the main one is -1).
WITH holders AS (
  SELECT job, idx FROM main.attempts WHERE stopped_ms IS NULL AND idx < 1000000 UNION
  SELECT job, -1 FROM main.attempts WHERE stopped_ms IS NULL AND idx >= 1000000
), asked_for AS (
  SELECT json_extract(e.value, '$[0]') AS id, sum(json_extract(e.value, '$[1]')) AS quantity
  FROM holders AS a JOIN asked.jobs AS j ON j.seq = a.job, json_each(j.consumables) AS e GROUP BY 1
)
SELECT 'of resource ' || u.id || ' ' || u.held || ' are in use, open attempts ask for ' || coalesce(q.quantity, 0)
FROM main.consumables AS u LEFT JOIN asked_for AS q ON q.id = u.id WHERE u.held <> coalesce(q.quantity, 0)
UNION ALL
SELECT 'open attempts ask for ' || q.quantity || ' of resource ' || q.id || ', of which nothing is in use' FROM asked_for AS q
WHERE NOT EXISTS (SELECT 1 FROM main.consumables AS u WHERE u.id = q.id);
