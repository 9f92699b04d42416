-- requests.db, version 8 to 9: multi-node jobs.
ALTER TABLE jobs ADD COLUMN nodes TEXT;
