-- state.db, version 3 to 4: queues and environments that are gone; who was stopped.
CREATE TABLE deleted (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_stops ON journal (job) WHERE kind = 'stop';
