-- state.db: what the engine shows besides rows.

-- name: show
-- A view as it is now.
INSERT INTO views (name, at_ms, body) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET at_ms = ?2, body = ?3;

-- name: hide
-- A view goes.
DELETE FROM views WHERE name = ?;

-- name: hide_all
-- All go.
DELETE FROM views;

-- name: shown
-- A view, and when it was told.
SELECT at_ms, body FROM views WHERE name = ?;
