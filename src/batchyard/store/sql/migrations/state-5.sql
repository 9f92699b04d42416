-- state.db, version 4 to 5: instances of managed environments, how long they take and stay; what shares have used.
CREATE TABLE timing (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot_ms INTEGER NOT NULL,
  linger_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE instances (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  environment INTEGER NOT NULL,
  type TEXT NOT NULL,
  cpu_milli INTEGER NOT NULL,
  memory_mib INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  usable_mib INTEGER NOT NULL,
  launched_ms INTEGER NOT NULL,
  ready_ms INTEGER NOT NULL,
  idle_since_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  reason TEXT
) STRICT;
CREATE INDEX instances_there ON instances (environment) WHERE ended_ms IS NULL;
CREATE TABLE shares (
  queue INTEGER NOT NULL,
  share TEXT NOT NULL,
  usage TEXT NOT NULL,                   -- thousandths of a vCPU times ms, decayed; may pass 64 bits
  charged_ms INTEGER NOT NULL,           -- up to when
  PRIMARY KEY (queue, share)
) STRICT, WITHOUT ROWID;
