-- state.db, version 5 to 6: where attempts log. What they logged at so far is told by their jobs' requests, which are
-- attached as `asked`.
CREATE TABLE log_groups (
  id INTEGER PRIMARY KEY,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  UNIQUE (region, name)
) STRICT;
CREATE TABLE log_places (
  id INTEGER PRIMARY KEY,
  grp INTEGER NOT NULL,
  beginning TEXT NOT NULL,
  UNIQUE (grp, beginning)
) STRICT;
ALTER TABLE attempts ADD COLUMN log INTEGER NOT NULL DEFAULT 0;
CREATE TEMP TABLE logged AS
SELECT job, region, coalesce(nullif(options ->> '$."awslogs-group"', ''), '/aws/batch/job') AS grp,
       coalesce(nullif(options ->> '$."awslogs-stream-prefix"', ''), substr(name, 1, 200)) || '/default/' AS beginning
FROM (
  SELECT j.seq AS job, j.region, d.name,
         iif(t.body ->> '$.container.logConfiguration.logDriver' = 'awslogs',
             t.body -> '$.container.logConfiguration.options', NULL) AS options
  FROM asked.jobs AS j JOIN asked.definitions AS d ON d.id = j.definition JOIN asked.texts AS t ON t.hash = j.text
  WHERE j.seq IN (SELECT job FROM attempts)
);
INSERT INTO log_groups (region, name, created_ms)
SELECT l.region, l.grp, min(a.opened_ms) FROM logged AS l JOIN attempts AS a ON a.job = l.job GROUP BY l.region, l.grp;
INSERT INTO log_places (grp, beginning)
SELECT DISTINCT g.id, l.beginning FROM logged AS l JOIN log_groups AS g ON g.region = l.region AND g.name = l.grp;
CREATE INDEX logged_by_job ON logged (job);
UPDATE attempts SET log = coalesce((
  SELECT p.id FROM logged AS l JOIN log_groups AS g ON g.region = l.region AND g.name = l.grp
  JOIN log_places AS p ON p.grp = g.id AND p.beginning = l.beginning WHERE l.job = attempts.job
), 0);
DROP TABLE logged;
DROP INDEX attempts_by_task;
CREATE UNIQUE INDEX attempts_by_log ON attempts (log, task);
CREATE INDEX attempts_ended ON attempts (stopped_ms, opened_ms, log) WHERE stopped_ms IS NOT NULL;
