-- requests.db, version 7 to 8: scheduling policies, and the shares of jobs.
CREATE TABLE policies (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX policies_by_name ON policies (region, name);
ALTER TABLE queues ADD COLUMN policy INTEGER;
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN share TEXT;
