-- state.db: what is held and consumed of consumable resources.

-- name: record
-- How much attempts hold of a resource, and have consumed.
INSERT INTO consumables (id, held, consumed) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET held = ?2, consumed = ?3;

-- name: all
-- What was consumed of each; what is held is told by open attempts.
SELECT id, consumed FROM consumables WHERE consumed > 0 ORDER BY id;
