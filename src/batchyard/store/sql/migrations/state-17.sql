-- state.db, version 16 to 17: logs and endings of containers of tasks of several.
ALTER TABLE attempts ADD COLUMN containers TEXT;
DROP INDEX attempts_open;
CREATE INDEX attempts_open ON attempts (job, idx, number, log) WHERE stopped_ms IS NULL;
CREATE TABLE container_logs (
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  number INTEGER NOT NULL,
  name TEXT NOT NULL,
  log INTEGER NOT NULL,
  task BLOB NOT NULL,
  opened_ms INTEGER NOT NULL,
  stopped_ms INTEGER,
  PRIMARY KEY (job, idx, number, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX container_logs_by_log ON container_logs (log, task);
CREATE INDEX container_logs_ended ON container_logs (stopped_ms, opened_ms, log, job, idx, number)
WHERE stopped_ms IS NOT NULL;
CREATE INDEX container_logs_open ON container_logs (job, idx, number, log) WHERE stopped_ms IS NULL;
