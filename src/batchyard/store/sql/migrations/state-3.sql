-- state.db, version 2 to 3: the state that a job left, and what the engine shows besides rows.
ALTER TABLE journal ADD COLUMN before INTEGER;
CREATE TABLE views (
  name TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
