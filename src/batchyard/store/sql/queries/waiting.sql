-- state.db: who waits before a job. Only single jobs and children are ever RUNNABLE (status 2), and a live array is PENDING
-- (1). Who was tried before stands at the front, in order of numbers; all others follow, in that order, too.

-- name: singles_before
-- Single jobs of a queue that wait, below a number.
SELECT count(*) FROM jobs WHERE queue = ? AND status = 2 AND seq < ?;

-- name: tried_singles_before
-- Those among them that were tried before.
SELECT count(*) FROM jobs WHERE queue = ? AND status = 2 AND attempts > 0 AND seq < ?;

-- name: tried_singles_after
-- Single jobs of a queue that wait above a number and were tried before.
SELECT count(*) FROM jobs WHERE queue = ? AND status = 2 AND attempts > 0 AND seq > ?;

-- name: children_before
-- Children that go before an untried job or child, which is given by number and index.
SELECT count(*) FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.queue = ?1 AND j.status = 1 AND j.size > 0 AND c.status = 2
  AND (j.seq < ?2 OR c.attempts > 0 OR (j.seq = ?2 AND c.idx < ?3));

-- name: children_before_tried
-- Children that go before a job or child that was tried itself.
SELECT count(*) FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.queue = ?1 AND j.status = 1 AND j.size > 0 AND j.seq <= ?2 AND c.status = 2 AND c.attempts > 0
  AND (j.seq < ?2 OR c.idx < ?3);

-- name: place
-- Where a job waits in a queue with a fair-share policy.
SELECT share, priority FROM jobs WHERE seq = ?;

-- name: share_singles_before
-- Single jobs of a share that wait and have a higher priority, or the same and a lower number.
SELECT (SELECT count(*) FROM jobs WHERE queue = ?1 AND share = ?2 AND status = 2 AND priority > ?3)
     + (SELECT count(*) FROM jobs WHERE queue = ?1 AND share = ?2 AND status = 2 AND priority = ?3 AND seq < ?4);

-- name: share_tried_singles
-- Single jobs of a share that wait and were tried before: those that go before a tried one, and those that do not.
SELECT count(*) FILTER (WHERE priority > ?3 OR (priority = ?3 AND seq < ?4)),
       count(*) FILTER (WHERE priority < ?3 OR (priority = ?3 AND seq > ?4))
FROM jobs WHERE queue = ?1 AND status = 2 AND attempts > 0 AND share = ?2;

-- name: share_children_before
-- Children of a share that go before an untried job or child.
SELECT count(*) FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.queue = ?1 AND j.status = 1 AND j.size > 0 AND j.share = ?2 AND c.status = 2
  AND (c.attempts > 0 OR j.priority > ?3 OR (j.priority = ?3 AND (j.seq < ?4 OR (j.seq = ?4 AND c.idx < ?5))));

-- name: share_children_before_tried
-- Children of a share that go before a job or child that was tried itself.
SELECT count(*) FROM jobs AS j CROSS JOIN children AS c ON c.job = j.seq
WHERE j.queue = ?1 AND j.status = 1 AND j.size > 0 AND j.share = ?2 AND c.status = 2 AND c.attempts > 0
  AND (j.priority > ?3 OR (j.priority = ?3 AND (j.seq < ?4 OR (j.seq = ?4 AND c.idx < ?5))));
