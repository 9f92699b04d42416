"""A Batchyard for the tests of a session: unmodified boto3 in the code under test talks to it."""

import json
import os
import subprocess

import boto3
import pytest


@pytest.fixture(scope="session")
def batchyard(tmp_path_factory):
    """A server of the tests' own, and the environment that points AWS's clients at it."""
    data = str(tmp_path_factory.mktemp("batchyard"))
    command = ["batchyard", "serve", "--data", data, "--port", "0", "--executor", "process", "--quit-runner"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert "answers at" in server.stdout.readline(), "the server did not start"
        told = subprocess.run(["batchyard", "env", "--data", data, "--json"], check=True, capture_output=True)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in json.loads(told.stdout).items():
                patch.setitem(os.environ, name, value)
            yield data
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="session")
def queue(batchyard):
    """A job queue on this machine."""
    batch = boto3.client("batch")
    batch.create_compute_environment(
        computeEnvironmentName="here", type="UNMANAGED", serviceRole="arn:aws:iam::123456789012:role/any"
    )
    batch.create_job_queue(
        jobQueueName="tests", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "here"}]
    )
    return "tests"
