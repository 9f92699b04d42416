"""Jobs that have a role, secrets and an S3: boto3 and aws in real jobs, whose STS, S3, Secrets Manager and SSM are
moto's, another program than ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import boto3
import pytest

from batchyard.model import tasktokens
from tests.clients.place import environment
from tests.clients.s3 import S3
from tests.harness.site import REGION, Site

pytestmark = pytest.mark.long

ROLE = "arn:aws:iam::123456789012:role/reader"
KEY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "key/of+the+server"}


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    server = S3(environment("moto") / "bin" / "moto_server", tmp_path_factory.mktemp("moto") / "log")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(moto, tmp_path_factory):
    """A server whose jobs are processes; it and they find AWS at moto."""
    home = tmp_path_factory.mktemp("site")
    secrets = home / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "from-file").write_text("in-a-file-5f1c\n")
    (secrets / "from-file").chmod(0o600)
    environ = KEY | {
        "AWS_ENDPOINT_URL": moto.url,
        "BATCHYARD_LOG_LEVEL": "debug",
        "VAULT_FROM_VARIABLE": "in-a-variable-77aa",
    }
    site = Site(
        home / "data", "--vcpus", "4", "--secrets-dir", str(secrets), "--secrets-env", "VAULT_", environ=environ
    )
    site.start()
    site.queue()
    yield site
    site.destroy()


def elsewhere(moto: S3, service: str):
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client(service, region_name=REGION, endpoint_url=moto.url, **keys)


def define(site: Site, name: str, program: str, **container) -> str:
    site.client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "host",
            "command": [sys.executable, "-c", textwrap.dedent(program)],
            "executionRoleArn": ROLE,
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}],
        }
        | container,
    )
    return name


def ran(site: Site, definition: str, **more) -> dict:
    job = site.finished(site.submit("q", definition, **more), 120)
    assert job["status"] == "SUCCEEDED", (job.get("statusReason"), job.get("container"), site.output(job))
    return job


def test_an_array_takes_its_input_from_s3_and_puts_its_output_there(site, moto):
    """The architecture that most people have: data in a bucket, an array that works on it, results in the bucket."""
    bucket, s3 = moto.bucket("pipeline"), moto.client()
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"in/{number}.txt", Body=f"{number} squared".encode())
    program = """
        import os, boto3
        s3, n = boto3.client("s3"), os.environ["AWS_BATCH_JOB_ARRAY_INDEX"]
        text = s3.get_object(Bucket="pipeline", Key=f"in/{n}.txt")["Body"].read().decode()
        s3.put_object(Bucket="pipeline", Key=f"out/{n}.txt", Body=f"{text} is {int(n) ** 2}".encode())
    """
    ran(site, define(site, "square", program, jobRoleArn=ROLE), arrayProperties={"size": 3})
    put = {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read().decode()
           for each in s3.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]}  # fmt: skip
    assert put == {f"out/{n}.txt": f"{n} squared is {n * n}" for n in range(3)}


def test_a_job_acts_as_its_role_in_a_session_of_its_task(site):
    program = """
        import boto3
        found = boto3.Session().get_credentials()
        print(found.method, boto3.client("sts").get_caller_identity()["Arn"])
    """
    job = ran(site, define(site, "who", program, jobRoleArn=ROLE))
    task = job["container"]["taskArn"].rpartition("/")[2]
    assert site.output(job) == f"container-role arn:aws:sts::123456789012:assumed-role/reader/{task}\n"


def test_the_aws_cli_has_the_role_too(site):
    name = define(site, "cli", "", jobRoleArn=ROLE, command=["aws", "sts", "get-caller-identity", "--query", "Arn"])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    more = {"containerOverrides": {"environment": [{"name": "PATH", "value": path}]}}
    assert ":assumed-role/reader/" in site.output(ran(site, name, **more))


def test_without_a_role_a_job_has_no_credentials(site):
    job = ran(site, define(site, "nobody", "import boto3; print(boto3.Session().get_credentials())"))
    assert site.output(job) == "None\n"


def test_a_job_reads_what_it_is_from_its_metadata(site):
    program = """
        import json, os, urllib.request
        at = os.environ["ECS_CONTAINER_METADATA_URI_V4"]
        print(json.dumps([json.load(urllib.request.urlopen(at + below)) for below in ("", "/task")]))
    """
    job = ran(site, define(site, "itself", program))
    container, task = json.loads(site.output(job))
    assert task["TaskARN"] == job["container"]["taskArn"]
    assert task["Containers"] == [container]
    assert (container["Name"], task["Family"], task["Revision"]) == ("default", "itself", "1")
    assert container["LogOptions"]["awslogs-stream"] == job["container"]["logStreamName"]


def test_tokens_are_good_no_more_when_the_job_is_over(site):
    job = ran(site, define(site, "over", "import os; print(os.environ['ECS_CONTAINER_METADATA_URI_V4'])"))
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", site.output(job).strip()],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "403"


# -- secrets ----------------------------------------------------------------------------------------------------------

HOLDS = "import os, sys; print({each: len(os.environ[each]) for each in sys.argv[1:]})"


def with_secrets(site: Site, name: str, program: str, *more: str, **secrets: str) -> str:
    entries = [{"name": variable, "valueFrom": value_from} for variable, value_from in secrets.items()]
    return define(site, name, "", command=[sys.executable, "-c", program, *secrets, *more], secrets=entries)


def test_secrets_of_every_source_are_in_the_environment_of_the_job(site, moto):
    vault, parameters = elsewhere(moto, "secretsmanager"), elsewhere(moto, "ssm")
    arn = vault.create_secret(Name="app/db", SecretString=json.dumps({"user": "u", "password": "first-4"}))["ARN"]
    vault.put_secret_value(SecretId=arn, SecretString=json.dumps({"user": "u", "password": "second-99"}))
    parameters.put_parameter(Name="/app/url", Value="parameter-1", Type="SecureString")
    named = {
        "FILE": "from-file",
        "VARIABLE": "from-variable",
        "MEMBER": f"{arn}:password::",
        "OLDER": f"{arn}:password:AWSPREVIOUS:",
        "PARAMETER": "/app/url",
        "BY_ARN": f"arn:aws:ssm:{REGION}:123456789012:parameter/app/url",
    }
    job = ran(site, with_secrets(site, "all", HOLDS, **named))
    values = ["in-a-file-5f1c", "in-a-variable-77aa", "second-99", "first-4", "parameter-1", "parameter-1"]
    assert site.output(job) == f"{dict(zip(named, map(len, values), strict=True))}\n"


def test_a_secret_that_is_nowhere_keeps_the_job_from_starting(site):
    name = with_secrets(site, "lost", HOLDS, DB="no/such")
    job = site.finished(site.submit("q", name))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert "exitCode" not in job["container"]
    said = job["container"]["reason"]
    assert said.startswith(
        "ResourceInitializationError: unable to pull secrets or registry auth: DB: no/such is not in"
    )
    assert "ParameterNotFound" in said


def test_a_secret_is_seen_by_its_job_and_nobody_else(site):
    """Looked for where it could be: in each file of the server, in what it says of the job, in the arguments and
    environments of all other processes of the machine."""
    program = (
        "import os, pathlib, time; print(len(os.environ['S'])); time.sleep(3600 if not os.environ.get('END') else 0)"
    )
    site.log.write_text("")
    job = site.submit("q", with_secrets(site, "kept", program, S="from-file"))
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNING", "it runs")
    secret = b"in-a-file-5f1c"
    holders = [pid for pid, told in processes().items() if secret in told]
    assert len(holders) == 1, "the job itself"
    assert b"in-a-variable" not in processes()[holders[0]]
    shown = (
        json.dumps(site.describe(job), default=str) + extra(site, f"/x/jobs/{job}") + extra(site, f"/x/explain/{job}")
    )
    assert secret.decode() not in shown
    said = site.log.read_text()
    assert f"GET /x/tasks/{job}.1/start" in said
    tokens = tokens_of(site, job)
    for path in [site.log, *(path for path in site.data.rglob("*") if path.is_file())]:
        content = path.read_bytes()
        assert secret not in content, path
        assert not [each for each in tokens if each in content], path
    site.client("batch").terminate_job(jobId=job, reason="seen enough")
    site.finished(job)


def test_jobs_get_their_secrets_though_the_api_dies_while_they_start(site):
    name = with_secrets(site, "through", HOLDS, FILE="from-file")
    jobs = [site.submit("q", name) for _ in range(12)]
    for _ in range(3):
        for pid in site.pids("api"):
            site.kill(pid)
        site.wait_for(site.answers, "the api is back")
    ended = [site.finished(job, 120) for job in jobs]
    assert {(job["status"], job["container"].get("reason")) for job in ended} == {("SUCCEEDED", None)}
    assert {site.output(job) for job in ended} == {"{'FILE': 14}\n"}


def processes() -> dict[int, bytes]:
    """What others could read of each process: its arguments and its environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) not in ancestors():
                found[int(entry.name)] = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
    return found


def ancestors() -> set[int]:
    return {os.getpid(), os.getppid()}


def extra(site: Site, path: str) -> str:
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "--fail",
            "--aws-sigv4",
            "aws:amz:us-east-1:batch",
            "--user",
            ":".join(site.key),
            site.url + path,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def tokens_of(site: Site, job: str) -> list[bytes]:
    key = bytes.fromhex((site.data / "task-key").read_text().strip())
    doors = [("start", ""), ("credentials", ""), ("v4", "default")]
    return [tasktokens.token(key, door, f"{job}.1", name).encode() for door, name in doors]
