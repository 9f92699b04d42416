-- observe.db, version 1 to 2: what goes wrong.
ALTER TABLE followers ADD COLUMN failure TEXT;
ALTER TABLE followers ADD COLUMN failing_ms INTEGER;
