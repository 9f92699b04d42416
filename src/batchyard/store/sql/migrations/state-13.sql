-- state.db, version 12 to 13: GPUs are lent by number.
ALTER TABLE instances ADD COLUMN devices TEXT;
ALTER TABLE attempts ADD COLUMN devices TEXT;
