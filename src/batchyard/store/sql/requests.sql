-- requests.db: what was asked. The api process is its only writer (store/intake.py).
--
-- Every request, of whatever kind, has a number (seq) that grows by arrival and is never used twice. Rows hold what
-- was wished; what became of it is in state.db under the same number.

-- One row: the last number and the latest time given out, written in the same commit as the requests they are of.
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  last_seq INTEGER NOT NULL,
  last_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta (one, last_seq) VALUES (1, 0);

-- Compute environments as they are wished now. `id` is the number of the creation and names the environment for good,
-- `seq` the number of the latest change. A name is free again when state.db says that the environment is gone; its row
-- stays, because old jobs name it.
CREATE TABLE environments (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  uuid TEXT NOT NULL,
  kind TEXT NOT NULL,          -- MANAGED or UNMANAGED
  provider TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  body TEXT NOT NULL,          -- the request as given, JSON
  created_ms INTEGER NOT NULL,
  deleted_ms INTEGER           -- when its deletion was asked for; NULL: it was not
) STRICT;
CREATE UNIQUE INDEX environments_by_name ON environments (region, name) WHERE deleted_ms IS NULL;
CREATE INDEX environments_leaving ON environments (region, name, id) WHERE deleted_ms IS NOT NULL;

-- Job queues; `id`, `seq` and `deleted_ms` as above.
CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  priority INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  environments TEXT NOT NULL,  -- JSON list of environment ids, in the order they are tried
  body TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  deleted_ms INTEGER,
  policy INTEGER               -- the scheduling policy it goes by; NULL: first in, first out
) STRICT;
CREATE UNIQUE INDEX queues_by_name ON queues (region, name) WHERE deleted_ms IS NULL;
CREATE INDEX queues_leaving ON queues (region, name, id) WHERE deleted_ms IS NOT NULL;

-- Scheduling policies as they are wished now; `id` and `seq` as above. One that is deleted is gone at once: no queue goes
-- by it.
CREATE TABLE policies (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,          -- fairsharePolicy as given, and tags, JSON
  created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX policies_by_name ON policies (region, name);

-- Every creation, change and wish to delete of an environment, queue or consumable resource (`subject`), with the whole value that holds from
-- its number on: what the engine is told, in order with all other requests.
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY,
  subject INTEGER NOT NULL,
  kind TEXT NOT NULL,          -- environment, queue or consumable
  value TEXT NOT NULL,         -- JSON list (store/columns.py)
  at_ms INTEGER NOT NULL,
  idempotency BLOB             -- of the call that asked for it; NULL: it sent no id
) STRICT;
CREATE INDEX changes_by_subject ON changes (subject, seq);
CREATE UNIQUE INDEX changes_by_idempotency ON changes (idempotency) WHERE idempotency IS NOT NULL;

-- Consumable resources by name. A row comes with the first creation or the first job that asks for it, and its id, a
-- request number, stands for the name for good: what is deleted may be created anew under jobs that wait for it.
CREATE TABLE consumables (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  folded TEXT NOT NULL,         -- the name in lower case
  replenishable INTEGER NOT NULL,
  granted INTEGER NOT NULL,    -- since its creation; what of it was consumed is in state.db
  born INTEGER NOT NULL,       -- the number of its latest creation
  body TEXT NOT NULL,          -- of the latest creation, JSON
  created_ms INTEGER         -- NULL: not created yet, or deleted
) STRICT;
CREATE UNIQUE INDEX consumables_by_name ON consumables (region, name);
CREATE INDEX consumables_there ON consumables (region, folded, name) WHERE created_ms IS NOT NULL;

-- What jobs ask for of them.
CREATE TABLE asks (
  consumable INTEGER NOT NULL,
  job INTEGER NOT NULL,
  quantity INTEGER NOT NULL,   -- for each attempt
  PRIMARY KEY (consumable, job)
) STRICT, WITHOUT ROWID;

-- Revisions of job definitions. The index also serves the listing: by name, newest revision first.
CREATE TABLE definitions (
  id INTEGER PRIMARY KEY,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  active INTEGER NOT NULL,
  body TEXT NOT NULL,          -- what DescribeJobDefinitions returns, JSON
  created_ms INTEGER NOT NULL,
  inactive_seq INTEGER,        -- number and time of its deregistration; NULL while it is active
  inactive_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX definitions_by_name ON definitions (region, name, revision DESC);
CREATE INDEX definitions_inactive ON definitions (inactive_ms) WHERE inactive_ms IS NOT NULL;

-- The highest revision ever given to a name; it outlives the revisions, so that a number is never used twice.
CREATE TABLE revisions (
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (region, name)
) STRICT, WITHOUT ROWID;

-- Bodies of jobs by their content: a million equal submissions store one.
CREATE TABLE texts (
  hash BLOB PRIMARY KEY,       -- blake2b, 16 bytes
  body TEXT NOT NULL           -- JSON
) STRICT, WITHOUT ROWID;

-- Submissions. Rows never change, and they are narrow: whatever many jobs have in common is named, not repeated.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  uuid BLOB NOT NULL UNIQUE,   -- 16 bytes
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  queue INTEGER NOT NULL,
  definition INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,       -- 0 unless it is an array, else the number of children
  cpu_milli INTEGER NOT NULL,
  memory_mib INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  timeout_s INTEGER,
  retry TEXT,                  -- JSON of RetryPolicy; NULL: one attempt, no rules
  upstreams TEXT,              -- JSON list of [seq, index, kind, job id as named]; NULL: none
  text BLOB NOT NULL,          -- hash of the body
  idempotency BLOB,
  consumables TEXT,            -- JSON list of pairs of a number and a quantity; NULL: none
  priority INTEGER NOT NULL DEFAULT 0, -- within its share
  share TEXT,                  -- share identifier; NULL: its queue has no scheduling policy
  nodes TEXT                   -- of a multi-node job: JSON of model/jobs.Nodes; the needs above are the main node's
) STRICT;
CREATE UNIQUE INDEX jobs_by_idempotency ON jobs (idempotency) WHERE idempotency IS NOT NULL;
-- Rows of equal key lie in order of seq: a queue's jobs are listed, newest first, by range.
CREATE INDEX jobs_by_queue ON jobs (queue);
CREATE INDEX jobs_by_text ON jobs (text);  -- tells when the last job with a body is gone

-- Wishes to cancel (kind 1) or terminate (kind 2) a job; idx -1 is the job itself, else a child.
CREATE TABLE wishes (
  seq INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX wishes_by_job ON wishes (job);

-- Wishes of the operator to have Spot capacity interrupted: an instance, an attempt on Fargate Spot, or all that an
-- environment holds then.
CREATE TABLE interruptions (
  seq INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL,
  instance TEXT NOT NULL,      -- '': none is named
  job INTEGER NOT NULL,        -- 0: likewise
  idx INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;

-- Tags of environments, queues, definitions, consumable resources and jobs, by the number of their creation, where
-- they were changed since: they take the place of those in the body. Rows go with what they are of.
CREATE TABLE tags (
  id INTEGER PRIMARY KEY,
  tags TEXT NOT NULL           -- JSON object
) STRICT;
