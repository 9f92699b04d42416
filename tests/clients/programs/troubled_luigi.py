"""A task for luigi whose job fails."""

from luigi.contrib.batch import BatchTask


class Fail(BatchTask):
    job_definition = "fail"
    poll_time = 1

    def complete(self):
        return False
