-- requests.db, version 3 to 4: a queue's jobs, newest first, whatever became of them.
CREATE INDEX jobs_by_queue ON jobs (queue);
