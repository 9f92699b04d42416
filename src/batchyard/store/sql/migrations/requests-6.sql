-- requests.db, version 5 to 6: Spot capacity that is to be interrupted.
CREATE TABLE interruptions (
  seq INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL,
  instance TEXT NOT NULL,
  job INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
