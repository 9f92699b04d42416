"""AWS Batch's operations, one file per noun. ``OPERATIONS`` is what is built; ``app.py`` refuses the rest."""

from __future__ import annotations

from batchyard.api.batch import (
    compute_environments,
    job_definitions,
    job_queues,
    jobs,
    list_jobs,
    queue_snapshots,
    submit,
    tags,
)

OPERATIONS = {
    "CancelJob": jobs.cancel_job,
    "CreateComputeEnvironment": compute_environments.create_compute_environment,
    "CreateJobQueue": job_queues.create_job_queue,
    "DeleteComputeEnvironment": compute_environments.delete_compute_environment,
    "DeleteJobQueue": job_queues.delete_job_queue,
    "DeregisterJobDefinition": job_definitions.deregister_job_definition,
    "DescribeComputeEnvironments": compute_environments.describe_compute_environments,
    "DescribeJobDefinitions": job_definitions.describe_job_definitions,
    "DescribeJobQueues": job_queues.describe_job_queues,
    "DescribeJobs": jobs.describe_jobs,
    "GetJobQueueSnapshot": queue_snapshots.get_job_queue_snapshot,
    "ListJobs": list_jobs.list_jobs,
    "ListTagsForResource": tags.list_tags_for_resource,
    "RegisterJobDefinition": job_definitions.register_job_definition,
    "SubmitJob": submit.submit_job,
    "TagResource": tags.tag_resource,
    "TerminateJob": jobs.terminate_job,
    "UntagResource": tags.untag_resource,
    "UpdateComputeEnvironment": compute_environments.update_compute_environment,
    "UpdateJobQueue": job_queues.update_job_queue,
}
