-- state.db, version 6 to 7: queues whose head cannot start, and after how long something is done about them.
CREATE TABLE blocks (
  queue INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  told INTEGER NOT NULL
) STRICT;
ALTER TABLE timing ADD COLUMN blocked_ms INTEGER NOT NULL DEFAULT 10000;
ALTER TABLE timing ADD COLUMN full_ms INTEGER NOT NULL DEFAULT 300000;
