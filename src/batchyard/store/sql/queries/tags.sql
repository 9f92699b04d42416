-- requests.db: tags of what exists, where they were changed since it was made.

-- name: changed
-- The tags of something whose tags were changed.
SELECT tags FROM tags WHERE id = ?;

-- name: current
-- The body of an environment, queue, definition, consumable resource or job, and its tags if they were changed; numbers are of one series.
SELECT body, (SELECT tags FROM tags WHERE id = ?1) FROM (
  SELECT body FROM environments WHERE id = ?1 UNION ALL
  SELECT body FROM queues WHERE id = ?1 UNION ALL
  SELECT body FROM policies WHERE id = ?1 UNION ALL
  SELECT body FROM definitions WHERE id = ?1 UNION ALL
  SELECT body FROM consumables WHERE id = ?1 AND created_ms IS NOT NULL UNION ALL
  SELECT t.body FROM jobs AS j JOIN texts AS t ON t.hash = j.text WHERE j.seq = ?1
);

-- name: put
-- From now on these are its tags.
INSERT INTO tags (id, tags) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET tags = ?2;

-- name: delete
-- Tags go with what they are of.
DELETE FROM tags WHERE id = ?;
