-- state.db, version 9 to 10: settings that decisions read, as one object, so that another one needs no other table.
ALTER TABLE timing RENAME TO timing_9;
CREATE TABLE timing (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  body TEXT NOT NULL
) STRICT;
INSERT INTO timing (one, body)
SELECT one, json_object('boot_ms', boot_ms, 'linger_ms', linger_ms, 'blocked_ms', blocked_ms, 'full_ms', full_ms)
FROM timing_9;
DROP TABLE timing_9;
