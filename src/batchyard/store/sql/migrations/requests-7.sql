-- requests.db, version 6 to 7: consumable resources.
CREATE TABLE consumables (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  folded TEXT NOT NULL,
  replenishable INTEGER NOT NULL,
  granted INTEGER NOT NULL,
  born INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX consumables_by_name ON consumables (region, name);
CREATE INDEX consumables_there ON consumables (region, folded, name) WHERE created_ms IS NOT NULL;
CREATE TABLE asks (
  consumable INTEGER NOT NULL,
  job INTEGER NOT NULL,
  quantity INTEGER NOT NULL,
  PRIMARY KEY (consumable, job)
) STRICT, WITHOUT ROWID;
ALTER TABLE jobs ADD COLUMN consumables TEXT;
