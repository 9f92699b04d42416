-- state.db: what the engine shows besides rows.

-- name: show
-- A view as it is now.
INSERT INTO views (name, at_ms, body) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET at_ms = ?2, body = ?3;
