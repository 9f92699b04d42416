-- metrics.db: what was counted of the journal, and how far. The observe process is its only writer (store/tallies.py).
--
-- The file is of no importance to jobs: without it counting begins anew. Whatever one step counts is one transaction
-- with how far it came, so nothing is counted twice or never.

-- One row once counting has begun. Every entry of the journal up to n is counted, and every submission up to asked_seq.
CREATE TABLE counted (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  n INTEGER NOT NULL,
  at_ms INTEGER,                         -- time and job of entry n: by them it is known again
  job INTEGER,
  asked_seq INTEGER NOT NULL,
  missed INTEGER NOT NULL,               -- entries that were deleted before they were counted
  adrift INTEGER NOT NULL                -- 1: some are missing, and what lives was not yet taken from rows
) STRICT;

-- The numbers: of a metric (observe/metrics.py), a queue or environment and a label. JSON: a whole number, or those of
-- a histogram.
CREATE TABLE series (
  metric TEXT NOT NULL,
  owner INTEGER NOT NULL,
  label TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (metric, owner, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX series_by_owner ON series (owner);

-- RUNNABLE jobs and since when they are; children as ranges [lo, hi), a single job is [-1, 0).
CREATE TABLE waiting (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL,
  queue INTEGER NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX waiting_by_job ON waiting (job, lo);
CREATE INDEX waiting_by_queue ON waiting (queue, since_ms);
