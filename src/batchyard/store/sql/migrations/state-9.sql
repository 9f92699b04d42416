-- state.db, version 8 to 9: consumable resources.
CREATE TABLE consumables (
  id INTEGER PRIMARY KEY,
  held INTEGER NOT NULL,
  consumed INTEGER NOT NULL
) STRICT;
