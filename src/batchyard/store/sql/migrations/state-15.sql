-- state.db, version 14 to 15: multi-node jobs.
ALTER TABLE jobs ADD COLUMN nodes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
