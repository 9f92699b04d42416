-- state.db, version 7 to 8: who waits before a job is counted in indexes.
CREATE INDEX jobs_tried ON jobs (queue, seq) WHERE status = 2 AND attempts > 0;
CREATE INDEX arrays_live ON jobs (queue, seq) WHERE status = 1 AND size > 0;
