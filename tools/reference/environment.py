"""What a job finds in its environment: asked of ``executors/contract.py``, which makes it."""

from __future__ import annotations

import re

from batchyard import config
from batchyard.executors import contract
from batchyard.executors.granting import Granting
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs
from reference import text

# Every variable that the contract sets must have its line here, or the page is not made.
MEANINGS = {
    "AWS_BATCH_JOB_ID": "The job's id; of a child of an array `ID:INDEX`.",
    "AWS_BATCH_JQ_NAME": "The name of the job queue.",
    "AWS_BATCH_CE_NAME": "The name of the compute environment.",
    "AWS_BATCH_JOB_ATTEMPT": "The number of this attempt, from 1.",
    "AWS_BATCH_JOB_ARRAY_INDEX": "Children of arrays only: the child's number, from 0.",
    "AWS_BATCH_JOB_ARRAY_SIZE": "Children of arrays only: how many children the array has.",
    "AWS_EXECUTION_ENV": "Tells libraries where they run; they look for it as on AWS.",
    "PATH": "The setting `process_path`, unless the definition says otherwise.",
    "HOME": "The working directory of this attempt, unless the definition says otherwise.",
    "TMPDIR": "A directory of this attempt's own, unless the definition says otherwise.",
    "AWS_REGION": "The region that the job was submitted in, unless the definition says otherwise.",
    "AWS_DEFAULT_REGION": "The same, for programs that look here.",
    "AWS_ENDPOINT_URL": "As the setting `job_endpoints` or the server's environment says, unless the definition says "
    "otherwise; so are AWS_ENDPOINT_URL_S3 and all others of the kind.",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "Where AWS's SDKs ask for the credentials of the job's role; only if it has "
    "one and there is an STS at which it is assumed.",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "What they show there; it is worth nothing when the attempt is over.",
    "ECS_CONTAINER_METADATA_URI_V4": "Where the task describes itself; add `/task` for the whole of it.",
}
WORK = "WORK"
S3, SERVER = "http://127.0.0.1:9000", "http://127.0.0.1:22824"


class Example(Granting):
    """That of a server which is not there."""

    def _own(self) -> str:
        return SERVER


GRANTING = Example(config.load({"data": "/DATA", "job_endpoints": S3, "sts_url": S3}, {}), b"", {})


def page() -> str:
    single, child = variables(WHOLE), variables(3)
    if unexplained := child.keys() - MEANINGS.keys():
        raise SystemExit(f"tools/reference/environment.py: MEANINGS says nothing of {', '.join(sorted(unexplained))}")
    theirs = contract.batch_variables(spec(3)) | GRANTING.variables(spec(3))
    rows = [
        (
            text.code(name),
            text.code(re.sub("[0-9a-f]{64}", "TOKEN", child[name]).replace(WORK, "DATA/work/ATTEMPT")),
            "Batch: the definition cannot change it" if name in theirs else "Batchyard: a start value",
            MEANINGS[name] + ("" if name in single or "Children" in MEANINGS[name] else " (children only)"),
        )
        for name in child
    ]
    return text.page(
        "The environment of a job",
        """A job sees the variables below, those of the definition and of the submission's overrides, and those of the
server's own environment that the setting `process_pass_env` names. It inherits nothing else. The examples are of
child 3 of an array.""",
        text.table(("variable", "example", "set by", "meaning"), rows),
    )


def variables(index: int) -> dict[str, str]:
    return contract.environment(spec(index), GRANTING.settings, WORK, {}, GRANTING)


def spec(index: int) -> AttemptSpec:
    """An attempt of child `index` of an array, or of a single job (WHOLE)."""
    job = "0b7f2c52-6f0e-4f7e-9b5e-2d1f6a4c8e10"
    return AttemptSpec(
        attempt=f"{job}.1",
        job_id=job if index == WHOLE else f"{job}:{index}",
        job_name="count",
        index=index,
        size=0 if index == WHOLE else 8,
        number=1,
        region="us-east-1",
        queue_name="default",
        environment_name="local",
        definition_name="counting",
        needs=Needs(1000, 64, 0),
        timeout_s=None,
        opened_ms=0,
        container={"command": ["./count.sh"], "jobRoleArn": "arn:aws:iam::123456789012:role/counter"},
    )
