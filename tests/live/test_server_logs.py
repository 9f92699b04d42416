"""What a busy server says at its loudest: one line an event in the form that was asked for, and no secret ever."""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import pytest

from batchyard import config
from tests.harness.site import Site

WORD = "S3cr3t"  # is part of every secret below
SERVER_KEY = f"Server{WORD}Key"
TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (serve|api|engine|observe|runner|slot) "
    r"(debug|info|warning|error|critical) [A-Za-z_.]+: \S.*"
)


@pytest.fixture(params=["json", "text"])
def loud(request, tmp_path, monkeypatch):
    """A site that says all it can, and whose settings hold secrets wherever they may."""
    monkeypatch.setenv("BATCHYARD_ACCESS_KEY_ID", "OPERATOR")
    monkeypatch.setenv("BATCHYARD_SECRET_ACCESS_KEY", SERVER_KEY)
    monkeypatch.setenv("BATCHYARD_PROCESS_PASS_ENV", "PASSED_ON")
    monkeypatch.setenv("PASSED_ON", f"passed-{WORD}")
    for setting in config.SETTINGS:
        if setting.secret:
            monkeypatch.setenv(setting.variable, f"http://user:{WORD}@127.0.0.1:9/hook?token={WORD}")
    flags = ("--vcpus", "4", "--log-level", "debug", "--log-format", request.param)
    site = Site(tmp_path / "data", *flags).start()
    site.form = request.param
    yield site
    site.destroy()


def attempted(action) -> str:
    """What was said against it."""
    try:
        action()
    except botocore.exceptions.ClientError as error:
        return str(error)
    return ""


def signed_with(site, secret: str):
    quiet = botocore.config.Config(retries={"max_attempts": 0})
    given = {"aws_access_key_id": "OPERATOR", "aws_secret_access_key": secret, "config": quiet}
    return boto3.client("batch", region_name="us-east-1", endpoint_url=site.url, **given)


def work(site) -> list[str]:
    """Jobs with secrets in each member that may hold one; requests that are refused; deaths."""
    environment = [{"name": "TOKEN", "value": f"of-definition-{WORD}"}]
    command = ["sh", "-c", f"test -n '{WORD}' && echo $TOKEN $PASSED_ON"]
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    batch = site.client("batch")
    queue = site.queue()
    batch.register_job_definition(
        jobDefinitionName="secretive",
        type="container",
        parameters={"password": f"default-{WORD}"},
        containerProperties={
            "image": "any", "command": command, "executionRoleArn": "arn:aws:iam::123456789012:role/any",
            "environment": environment, "resourceRequirements": needs,
            "secrets": [{"name": "X", "valueFrom": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{WORD}"}],
        },
    )  # fmt: skip
    override = {"environment": [{"name": "OTHER", "value": f"of-job-{WORD}"}]}
    given = {"containerOverrides": override, "parameters": {"password": f"given-{WORD}"}}
    jobs = [site.submit(queue, "secretive", **given) for _ in range(5)]
    jobs.append(site.submit(queue, "secretive", arrayProperties={"size": 3}, **given))
    site.definition("fails", "sh", "-c", f"exit {len(WORD)}")
    jobs.append(site.submit(queue, "fails"))
    assert "InvalidSignature" in attempted(lambda: signed_with(site, f"wrong-{WORD}").describe_job_queues())
    assert "not found" in attempted(lambda: site.submit(f"{WORD}-queue", "secretive", **given))
    site.definition("slow", "sleep", "60")
    slow = site.submit(queue, "slow", containerOverrides=override)
    site.wait_for(lambda: site.describe(slow)["status"] == "RUNNING", "the slow job runs")
    batch.terminate_job(jobId=slow, reason=f"because {WORD}")
    return [*jobs, slow]


def post(site, path: str, body: bytes, **headers) -> None:
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(site.url + path, body, headers), timeout=10)


def test_nothing_secret_is_said_and_every_event_is_a_line(loud, tmp_path):
    site = loud
    jobs = work(site)
    for job in jobs:
        site.finished(job)
    scope = "OPERATOR/20261125/us-east-1/batch/aws4_request"
    forged = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={WORD}"
    post(site, "/v1/submitjob", b'{"jobName": "' + WORD.encode() + b'"', Authorization=forged)
    post(site, f"/v1/submitjob?X-Amz-Signature={WORD}&X-Amz-Credential={WORD}", b"{}")
    for role in ("engine", "api", "observe"):
        for pid in site.pids(role):
            site.kill(pid)
    site.wait_for(lambda: site.pids("engine") and site.answers(), "all are back")
    site.finished(site.submit("q", "secretive"))
    file_key, token = site.key[1], (site.data / "metrics-token").read_text().strip()
    site.process.send_signal(signal.SIGTERM)
    site.process.wait(20)

    told = site.log.read_text()
    said_by_runner = (site.data / "runner" / "runner.log").read_text()
    for text in (told, said_by_runner):
        for secret in (WORD, SERVER_KEY, file_key, token):
            assert secret not in text, [line for line in text.splitlines() if secret in line]
        assert not re.search(r"Signature=|[0-9a-f]{64}", text)
    check_lines(site.form, told, {"serve", "api", "engine", "observe"})
    check_lines(site.form, said_by_runner, {"runner"})
    if site.form == "json":
        check_access_lines([json.loads(line) for line in told.splitlines()], jobs)


def check_lines(form: str, text: str, roles: set[str]) -> None:
    """Each line is one event; a greeting for people comes only where people read."""
    lines = text.splitlines()
    if form == "json":
        told = [json.loads(line) for line in lines]
        assert {"time", "role", "level", "logger", "message"} <= set.intersection(*(set(each) for each in told))
        assert roles <= {each["role"] for each in told}
        return
    odd = [line for line in lines if line and not TEXT_LINE.fullmatch(line)]
    assert all(line.startswith(("Batchyard ", "In another", "  ")) for line in odd), odd
    assert roles <= {line.split(" ", 2)[1] for line in lines if TEXT_LINE.fullmatch(line)}


def check_access_lines(told: list[dict], jobs: list[str]) -> None:
    """Each request: what, how it ended, how long it took, with which key; found again by its request id."""
    access = [each for each in told if each["logger"] == "batchyard.access"]
    submitted = [each for each in access if each["message"] == "SubmitJob"]
    assert len([each for each in submitted if each["status"] == 200]) == len(jobs) + 1
    assert all(each["ms"] > 0 and len(each["request"]) == 36 for each in access)
    assert {each["key"] for each in submitted} <= {"OPERATOR", *(each["key"] for each in submitted)}
    refused = [each for each in access if each["status"] >= 400]
    assert {each["status"] for each in refused} >= {400, 403}
    assert all("key" not in each for each in refused if each["status"] == 403)


def test_by_default_a_server_says_nothing(tmp_path):
    site = Site(tmp_path / "data", "--vcpus", "2").start()
    try:
        site.finished(site.submit(site.queue(), site.definition("d", "true")))
        site.process.send_signal(signal.SIGTERM)
        site.process.wait(20)
        assert not [line for line in site.log.read_text().splitlines() if TEXT_LINE.match(line)]
        assert (site.data / "runner" / "runner.log").read_text() == ""
    finally:
        site.destroy()
