-- state.db: what is held and consumed of consumable resources.

-- name: record
-- How much attempts hold of a resource, and have consumed.
INSERT INTO consumables (id, held, consumed, born) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET held = ?2, consumed = ?3, born = ?4;

-- name: used
-- The same of given ones (a JSON list of numbers).
SELECT id, held, consumed, born FROM consumables WHERE id IN (SELECT value FROM json_each(?));

-- name: all
-- What was consumed of each; what is held is told by open attempts.
SELECT id, consumed FROM consumables WHERE consumed > 0 ORDER BY id;
