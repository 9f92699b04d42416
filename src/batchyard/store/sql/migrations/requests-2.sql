-- requests.db, version 1 to 2: what retention asks for, and the latest time given out.
ALTER TABLE meta ADD COLUMN last_ms INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET last_ms = max(
  coalesce((SELECT max(created_ms) FROM jobs), 0),
  coalesce((SELECT max(at_ms) FROM wishes), 0)
);
CREATE INDEX jobs_by_text ON jobs (text);
CREATE INDEX wishes_by_job ON wishes (job);
