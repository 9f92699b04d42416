"""AWS Batch's operations, one file per noun. ``OPERATIONS`` is what is built; ``app.py`` refuses the rest."""

from __future__ import annotations

from batchyard.api.batch import (
    compute_environments,
    consumable_resources,
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
    "CreateConsumableResource": consumable_resources.create_consumable_resource,
    "CreateJobQueue": job_queues.create_job_queue,
    "DeleteComputeEnvironment": compute_environments.delete_compute_environment,
    "DeleteConsumableResource": consumable_resources.delete_consumable_resource,
    "DeleteJobQueue": job_queues.delete_job_queue,
    "DeregisterJobDefinition": job_definitions.deregister_job_definition,
    "DescribeComputeEnvironments": compute_environments.describe_compute_environments,
    "DescribeConsumableResource": consumable_resources.describe_consumable_resource,
    "DescribeJobDefinitions": job_definitions.describe_job_definitions,
    "DescribeJobQueues": job_queues.describe_job_queues,
    "DescribeJobs": jobs.describe_jobs,
    "GetJobQueueSnapshot": queue_snapshots.get_job_queue_snapshot,
    "ListConsumableResources": consumable_resources.list_consumable_resources,
    "ListJobs": list_jobs.list_jobs,
    "ListJobsByConsumableResource": consumable_resources.list_jobs_by_consumable_resource,
    "ListTagsForResource": tags.list_tags_for_resource,
    "RegisterJobDefinition": job_definitions.register_job_definition,
    "SubmitJob": submit.submit_job,
    "TagResource": tags.tag_resource,
    "TerminateJob": jobs.terminate_job,
    "UntagResource": tags.untag_resource,
    "UpdateComputeEnvironment": compute_environments.update_compute_environment,
    "UpdateConsumableResource": consumable_resources.update_consumable_resource,
    "UpdateJobQueue": job_queues.update_job_queue,
}
