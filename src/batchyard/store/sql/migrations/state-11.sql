-- state.db, version 10 to 11: capacity that is to go though jobs run on it.
ALTER TABLE instances ADD COLUMN warned_ms INTEGER;
ALTER TABLE instances ADD COLUMN reclaim_ms INTEGER;
ALTER TABLE instances ADD COLUMN cause TEXT;
ALTER TABLE instances ADD COLUMN reclaimed_ms INTEGER;
ALTER TABLE attempts ADD COLUMN warned_ms INTEGER;
ALTER TABLE attempts ADD COLUMN reclaim_ms INTEGER;
