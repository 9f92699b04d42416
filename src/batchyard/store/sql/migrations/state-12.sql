-- state.db, version 11 to 12: until when a share counts as active.
ALTER TABLE shares ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shares ADD COLUMN latest_cpu_milli INTEGER NOT NULL DEFAULT 0;
