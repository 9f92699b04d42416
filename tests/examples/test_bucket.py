"""Input in S3, an array job, output in S3: with credentials of the role that the jobs have."""

from __future__ import annotations

import json
import time

import pytest

from tests.clients.place import KEY, NO_OUTSIDE, environment
from tests.clients.s3 import S3

pytestmark = pytest.mark.long


@pytest.fixture
def s3(tmp_path):
    server = S3(environment("moto") / "bin" / "moto_server", tmp_path / "log")
    yield server
    server.stop()


def test_an_array_works_on_what_is_in_s3(example, s3):
    bucket = s3.bucket(f"stations-{time.time_ns()}")
    key = {f"AWS_{part}": value for part, value in KEY.items()}
    with example("bucket", "stations", **NO_OUTSIDE, **key, S3=s3.url, BUCKET=bucket) as reader:
        jobs = reader.site.client("batch")
        (definition,) = jobs.describe_job_definitions(jobDefinitionName="stations")["jobDefinitions"]
        assert definition["containerProperties"]["jobRoleArn"].endswith(":role/stations")
    listed = s3.client().list_objects_v2(Bucket=bucket)["Contents"]
    parts = [
        f"{kind}/{station}.{form}" for kind, form in (("input", "csv"), ("output", "json")) for station in range(6)
    ]
    assert sorted(each["Key"] for each in listed) == sorted([*parts, "output/summary.csv"])
    body = s3.client().get_object(Bucket=bucket, Key="output/0.json")["Body"].read()
    assert set(json.loads(body)) == {"lowest", "highest", "mean", "frost"}
