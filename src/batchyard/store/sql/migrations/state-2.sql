-- state.db, version 1 to 2: what retention asks for, and the outcome of finished arrays in one row.
ALTER TABLE meta ADD COLUMN checked_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN succeeded INTEGER;
UPDATE jobs SET succeeded = (SELECT count(*) FROM children WHERE job = seq AND children.status = 5)
WHERE size > 0 AND status >= 5;
CREATE INDEX jobs_ended ON jobs (changed_ms, seq, size) WHERE status >= 5;
CREATE TABLE retiring (
  seq INTEGER PRIMARY KEY
) STRICT;
CREATE INDEX journal_by_job ON journal (job);
