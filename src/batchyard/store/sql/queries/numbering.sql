-- requests.db: numbers and revisions, given out by the one writer.

-- name: last_seq
-- The last request number that was given out.
SELECT last_seq FROM meta;

-- name: set_last_seq
-- Remember the last request number, in the commit that uses it.
UPDATE meta SET last_seq = ?;

-- name: next_revision
-- The next revision of a definition's name, counted even when revisions are gone.
INSERT INTO revisions (region, name, last) VALUES (?, ?, 1)
ON CONFLICT (region, name) DO UPDATE SET last = last + 1
RETURNING last;
