-- observe.db: how far those are who follow the journal. The observe process is its only writer (store/journal.py);
-- serve enrols followers before it starts that process.
--
-- The file is of no importance to jobs: without it, followers begin anew.

CREATE TABLE followers (
  name TEXT PRIMARY KEY,
  n INTEGER NOT NULL,               -- every entry of the journal up to this number is done with
  lost INTEGER NOT NULL DEFAULT 0,  -- entries that retention deleted before the follower came to them
  memo BLOB,                        -- what the follower remembers of the entries up to n
  failure TEXT,                     -- what goes wrong; NULL: nothing does
  failing_ms INTEGER                -- since when
) STRICT, WITHOUT ROWID;
