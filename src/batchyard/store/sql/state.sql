-- state.db: what became of it. The engine process is its only writer (store/apply.py, one function per fact).
--
-- A job is the number of its request. Status is the number of model/states.py: 0 SUBMITTED, 1 PENDING, 2 RUNNABLE,
-- 3 STARTING, 4 RUNNING, 5 SUCCEEDED, 6 FAILED; everything below 5 is live.

-- One row: every request up to applied_seq is part of this state; last_ms is the clock of the last commit. No live job
-- up to checked_seq waits on a job that is retiring.
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  applied_seq INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  checked_seq INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta (one, applied_seq, last_ms) VALUES (1, 0, 0);

-- The room of each provider, as decisions used it.
CREATE TABLE providers (
  name TEXT PRIMARY KEY,
  cpu_milli INTEGER NOT NULL,
  memory_mib INTEGER NOT NULL,
  gpus INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Single jobs, array parents and multi-node jobs; the row of the latter is that of their main node, too.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  uuid BLOB NOT NULL,
  queue INTEGER NOT NULL,
  size INTEGER NOT NULL,
  status INTEGER NOT NULL,
  status_reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,   -- number of the latest attempt
  started_ms INTEGER,                    -- of the latest attempt that began
  stopped_ms INTEGER,
  changed_ms INTEGER NOT NULL,
  stop_kind INTEGER,                     -- the latest stop that was accepted: 1 cancel, 2 terminate
  stop_reason TEXT,
  succeeded INTEGER,                     -- children that SUCCEEDED once an array is over; the others FAILED
  -- How many there are of a multi-node job; else 0.
  nodes INTEGER NOT NULL DEFAULT 0,
  -- Where it waits in a queue with a fair-share policy; there the higher goes first.
  share TEXT,
  priority INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Rows of equal key lie in order of seq: a queue's jobs in one state are listed by range.
CREATE INDEX jobs_by_status ON jobs (queue, status);
CREATE INDEX jobs_live ON jobs (seq) WHERE status < 5;
-- Who waits before a job: those that were tried before, and the children of arrays (store/waiting.py).
CREATE INDEX jobs_tried ON jobs (queue, seq) WHERE status = 2 AND attempts > 0;
CREATE INDEX arrays_live ON jobs (queue, seq) WHERE status = 1 AND size > 0;
CREATE INDEX jobs_in_share ON jobs (queue, share, priority) WHERE status = 2 AND share IS NOT NULL;
-- Finished jobs in the order in which they ended: a terminal job never changes again.
CREATE INDEX jobs_ended ON jobs (changed_ms, seq, size) WHERE status >= 5;

-- Queues and environments, by number, of which nothing lives any more: they are known no longer and their names are
-- free.
CREATE TABLE deleted (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL
) STRICT;

-- Finished jobs that are to go (store/retention.py). Rows leave with the last row of their job.
CREATE TABLE retiring (
  seq INTEGER PRIMARY KEY
) STRICT;

-- Children of arrays: inserted all at once with their parent, so rows are narrow and defaults are NULL. Likewise the
-- nodes of a multi-node job but its main one: idx is 1,000,000 and the node's number.
CREATE TABLE children (
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  status INTEGER NOT NULL,
  status_reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  started_ms INTEGER,
  stopped_ms INTEGER,
  stop_kind INTEGER,
  stop_reason TEXT,
  PRIMARY KEY (job, idx)
) STRICT, WITHOUT ROWID;

-- The operator's settings that decisions read, as they used them: one row once they were told.
CREATE TABLE timing (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  body TEXT NOT NULL                     -- JSON object; what is not in it has its default
) STRICT;

-- Instances of managed environments, numbered in order of launch. They exist until ended_ms is set.
CREATE TABLE instances (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,                      -- i-...
  environment INTEGER NOT NULL,
  type TEXT NOT NULL,                    -- of the catalogue, or local.fit
  cpu_milli INTEGER NOT NULL,            -- taken of the provider, like memory and GPUs
  memory_mib INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  usable_mib INTEGER NOT NULL,           -- by jobs
  launched_ms INTEGER NOT NULL,
  ready_ms INTEGER NOT NULL,
  idle_since_ms INTEGER NOT NULL,        -- counts while no attempt is open there
  ended_ms INTEGER,
  reason TEXT,                           -- why it went
  warned_ms INTEGER,                     -- since when it is to go though attempts are open on it,
  reclaim_ms INTEGER,                    -- when those that are left are killed,
  cause TEXT,                            -- why, and
  reclaimed_ms INTEGER,                  -- since when they are told to die
  devices TEXT,                          -- its GPUs as the provider numbers them: a JSON list; NULL: none
  -- For the multi-node job of this number; 0: for anybody.
  reserved INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX instances_there ON instances (environment) WHERE ended_ms IS NULL;

-- Active shares of queues with a fair-share policy, and what they have used (scheduler/fairshare.py).
CREATE TABLE shares (
  queue INTEGER NOT NULL,
  share TEXT NOT NULL,
  usage TEXT NOT NULL,                   -- thousandths of a vCPU times ms, decayed; may pass 64 bits
  charged_ms INTEGER NOT NULL,           -- up to when
  used_ms INTEGER NOT NULL DEFAULT 0,    -- when an attempt of it last opened or closed; 0: never
  latest_cpu_milli INTEGER NOT NULL DEFAULT 0, -- of that attempt
  PRIMARY KEY (queue, share)
) STRICT, WITHOUT ROWID;

-- Queues whose head cannot start, and for which reason since when (scheduler/blocked.py).
CREATE TABLE blocks (
  queue INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  told INTEGER NOT NULL                  -- whether it has lasted: the queue is blocked, and the job says why
) STRICT;

-- Consumable resources, by the number of their name.
CREATE TABLE consumables (
  id INTEGER PRIMARY KEY,
  held INTEGER NOT NULL,                 -- by open attempts
  consumed INTEGER NOT NULL,             -- for good since its creation
  born INTEGER NOT NULL DEFAULT 0        -- the number of that request
) STRICT;

-- Attempts; idx is -1 for a single job and a main node. Open while stopped_ms is NULL.
CREATE TABLE attempts (
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  number INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  instance TEXT NOT NULL,
  task BLOB NOT NULL,                    -- task id, 16 bytes
  opened_ms INTEGER NOT NULL,
  started_ms INTEGER,
  stopped_ms INTEGER,
  exit_code INTEGER,
  reason TEXT,
  status_reason TEXT,
  peak_memory_bytes INTEGER,
  cpu_ms INTEGER,
  log INTEGER NOT NULL DEFAULT 0,        -- where it logs; 0: nobody knows
  warned_ms INTEGER,                     -- when it was interrupted, on Fargate Spot,
  reclaim_ms INTEGER,                    -- and when it is killed
  devices TEXT,                          -- its GPUs, likewise
  containers TEXT,                       -- how each container of a task of several ended: a JSON list; NULL: nothing told
  PRIMARY KEY (job, idx, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempts_by_log ON attempts (log, task);
-- In the order in which they ended, which is that of the last lines of their logs; it tells what ran at a time.
CREATE INDEX attempts_ended ON attempts (stopped_ms, opened_ms, log) WHERE stopped_ms IS NOT NULL;
CREATE INDEX attempts_open ON attempts (job, idx, number, log) WHERE stopped_ms IS NULL;

-- Logs of the containers of attempts that have several: a row for each; the attempt itself logs nowhere then (0).
CREATE TABLE container_logs (
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  number INTEGER NOT NULL,
  name TEXT NOT NULL,                    -- of the container
  log INTEGER NOT NULL,                  -- where it logs
  task BLOB NOT NULL,                    -- these are the attempt's
  opened_ms INTEGER NOT NULL,
  stopped_ms INTEGER,
  PRIMARY KEY (job, idx, number, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX container_logs_by_log ON container_logs (log, task);
CREATE INDEX container_logs_ended ON container_logs (stopped_ms, opened_ms, log, job, idx, number)
WHERE stopped_ms IS NOT NULL;
CREATE INDEX container_logs_open ON container_logs (job, idx, number, log) WHERE stopped_ms IS NULL;

-- CloudWatch's log groups, each from its first attempt on.
CREATE TABLE log_groups (
  id INTEGER PRIMARY KEY,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  UNIQUE (region, name)
) STRICT;

-- What streams of a group have in common: their names begin so, and end in the task id of an attempt.
CREATE TABLE log_places (
  id INTEGER PRIMARY KEY,
  grp INTEGER NOT NULL,
  beginning TEXT NOT NULL,
  UNIQUE (grp, beginning)
) STRICT;

-- What people would be told of, one row a fact, in the order it happened, written in the same commit as the rows
-- above. A range of children is one row (idx up to, not including, hi). The newest row is never deleted: n grows.
CREATE TABLE journal (
  n INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,                    -- added, moved, opened, began, closed, stop, blocked; deleted
  job INTEGER NOT NULL,                  -- deleted: the number of the queue or environment
  idx INTEGER NOT NULL,
  hi INTEGER NOT NULL,                   -- idx + 1 for one job
  status INTEGER,                        -- the state entered; NULL when none was
  number INTEGER,                        -- of the attempt
  detail TEXT,                           -- JSON object with the rest of the fact; NULL: nothing more
  before INTEGER                         -- the state left; NULL when none was, and in rows of before version 3
) STRICT;
CREATE INDEX journal_by_job ON journal (job);
CREATE INDEX journal_stops ON journal (job) WHERE kind = 'stop';

-- What the engine shows besides rows, by name: told anew when it changed and at most once a second, in commits that are
-- not synced. No decision reads it and nothing is lost with it.
CREATE TABLE views (
  name TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  body TEXT NOT NULL                     -- JSON
) STRICT, WITHOUT ROWID;
