-- requests.db, version 4 to 5: changes one by one, deletion, deregistration.
CREATE TABLE older AS SELECT id, seq, region, name, uuid, kind, provider, enabled, body, created_ms FROM environments;
DROP TABLE environments;
CREATE TABLE environments (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  uuid TEXT NOT NULL,
  kind TEXT NOT NULL,
  provider TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  deleted_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX environments_by_name ON environments (region, name) WHERE deleted_ms IS NULL;
CREATE INDEX environments_leaving ON environments (region, name, id) WHERE deleted_ms IS NOT NULL;
INSERT INTO environments (id, seq, region, name, uuid, kind, provider, enabled, body, created_ms) SELECT id, seq, region, name, uuid, kind, provider, enabled, body, created_ms FROM older;
DROP TABLE older;
CREATE TABLE older AS SELECT id, seq, region, name, priority, enabled, environments, body, created_ms FROM queues;
DROP TABLE queues;
CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  priority INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  environments TEXT NOT NULL,
  body TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  deleted_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX queues_by_name ON queues (region, name) WHERE deleted_ms IS NULL;
CREATE INDEX queues_leaving ON queues (region, name, id) WHERE deleted_ms IS NOT NULL;
INSERT INTO queues (id, seq, region, name, priority, enabled, environments, body, created_ms) SELECT id, seq, region, name, priority, enabled, environments, body, created_ms FROM older;
DROP TABLE older;
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY,
  subject INTEGER NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  idempotency BLOB
) STRICT;
CREATE INDEX changes_by_subject ON changes (subject, seq);
CREATE UNIQUE INDEX changes_by_idempotency ON changes (idempotency) WHERE idempotency IS NOT NULL;
INSERT INTO changes (seq, subject, kind, value, at_ms)
SELECT seq, id, 'environment', json_array(provider, uuid, enabled, 0, json_extract(body, '$.room')), created_ms
FROM environments
UNION ALL
SELECT seq, id, 'queue', json_array(priority, enabled, 0, json(environments)), created_ms FROM queues;
ALTER TABLE definitions ADD COLUMN inactive_seq INTEGER;
ALTER TABLE definitions ADD COLUMN inactive_ms INTEGER;
CREATE INDEX definitions_inactive ON definitions (inactive_ms) WHERE inactive_ms IS NOT NULL;
