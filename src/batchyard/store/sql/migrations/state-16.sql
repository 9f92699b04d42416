-- state.db, version 15 to 16: where jobs wait in queues with a fair-share policy.
ALTER TABLE jobs ADD COLUMN share TEXT;
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_in_share ON jobs (queue, share, priority) WHERE status = 2 AND share IS NOT NULL;
