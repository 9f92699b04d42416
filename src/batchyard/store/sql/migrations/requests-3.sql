-- requests.db, version 2 to 3: tags that were changed after the creation.
CREATE TABLE tags (
  id INTEGER PRIMARY KEY,
  tags TEXT NOT NULL
) STRICT;
