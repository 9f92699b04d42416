-- requests.db: revisions of job definitions.

-- name: insert
-- A new revision, active.
INSERT INTO definitions (id, region, name, revision, active, body, created_ms) VALUES (?, ?, ?, ?, 1, ?, ?);

-- name: deregister
-- A revision that is active becomes inactive.
UPDATE definitions SET active = 0, inactive_seq = ?, inactive_ms = ?
WHERE region = ? AND name = ? AND revision = ? AND active;

-- name: by_revision
-- One revision, active or not.
SELECT id, region, name, revision, active, body FROM definitions WHERE region = ? AND name = ? AND revision = ?;

-- name: newest_active
-- The highest active revision of a name.
SELECT id, region, name, revision, active, body FROM definitions
WHERE region = ? AND name = ? AND active ORDER BY revision DESC LIMIT 1;

-- name: by_id
-- The revision with this number.
SELECT id, region, name, revision, active, body FROM definitions WHERE id = ?;

-- name: page
-- By name, newest revision first, after the last row of the page before; NULL active: both.
SELECT id, region, name, revision, active, body FROM definitions
WHERE region = :region AND name >= :after_name AND (name > :after_name OR revision < :after_revision)
  AND (:active IS NULL OR active = :active)
ORDER BY name, revision DESC LIMIT :limit;

-- name: page_of_name
-- The revisions of one name below a revision, newest first; NULL active: both.
SELECT id, region, name, revision, active, body FROM definitions
WHERE region = :region AND name = :name AND revision < :below AND (:active IS NULL OR active = :active)
ORDER BY revision DESC LIMIT :limit;
