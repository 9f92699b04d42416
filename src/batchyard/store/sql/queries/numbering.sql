-- requests.db: numbers and revisions, given out by the one writer.

-- name: last
-- The last request number and the latest time that were given out.
SELECT last_seq, last_ms FROM meta;

-- name: set_last
-- Remember both, in the commit that uses them.
UPDATE meta SET last_seq = ?, last_ms = ?;

-- name: next_revision
-- The next revision of a definition's name, counted even when revisions are gone.
INSERT INTO revisions (region, name, last) VALUES (?, ?, 1)
ON CONFLICT (region, name) DO UPDATE SET last = last + 1
RETURNING last;
