"""`batchyard terminate`, `jobs ID` and `doctor` against a real server, whose runner says what its machine can do."""

from __future__ import annotations

import json
import re

import pytest

from batchyard.doctor import about


def test_a_running_job_is_terminated_and_its_reason_is_kept(live):
    with live.start("run", "--", "sh", "-c", "echo up; exec sleep 99") as run:
        assert run.stdout.readline() == "up\n"
        (job,) = json.loads(live.type("jobs", "--status", "RUNNING", "--json").stdout)
        done = live.type("terminate", "--reason", "enough of it", job["jobId"])
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"Job {job['jobId']} is being terminated.\n"
        run.wait(60)
    ended = live.site.finished(job["jobId"])
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "enough of it")
    again = live.type("terminate", job["jobId"])
    assert (again.returncode, again.stdout) == (0, f"Job {job['jobId']} has already ended: FAILED.\n")


def test_an_array_is_terminated_with_its_children_and_one_child_alone(live):
    typed = ("run", "--detach", "--array", "3", "--memory", "64", "--", "sleep", "99")
    array = live.type(*typed).stdout.strip()
    assert live.type("terminate", "--reason", "not this one", f"{array}:1").returncode == 0
    child = live.site.finished(f"{array}:1")
    assert child["statusReason"] == "not this one"
    assert live.site.describe(f"{array}:0")["status"] not in ("SUCCEEDED", "FAILED")
    assert live.type("terminate", array).stdout == f"Array {array} (3 jobs) is being terminated.\n"
    assert live.site.finished(array)["status"] == "FAILED"
    for index in (0, 2):
        assert live.site.finished(f"{array}:{index}")["statusReason"] == "Terminated at batchyard terminate"


@pytest.mark.parametrize(
    "job_id", ["nope", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11:0"]
)
def test_an_unknown_job_is_said(live, job_id):
    done = live.type("terminate", job_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"batchyard: There is no job {job_id}.\n")


def test_jobs_shows_attempts_usage_directories_and_notices(live):
    burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exit 3"
    job_id = live.type("run", "--detach", "--", "sh", "-c", burn).stdout.strip()
    live.site.finished(job_id)
    shown = live.type("jobs", job_id).stdout
    assert re.search(r"^attempt 1 +exit code 3, took \d\S*, \d+\.\d\ds CPU, \d+ MiB at most$", shown, re.M), shown
    directory = re.search(r"^directory +(.+)$", shown, re.M)[1]
    assert directory == str(live.site.data / "work" / f"{job_id}.1")
    assert re.search(rf"^log file +{re.escape(str(live.site.data))}/logs/\S+/{job_id}\.1\.log$", shown, re.M)
    assert re.search(r"^notice +image \S+ is not used", shown, re.M)


def test_doctor_says_what_the_runner_found(live):
    found = json.loads(live.type("doctor", "--json").stdout)
    assert (found["server"], found["data"]) == (live.site.url, str(live.site.data))
    told = about.read(live.site.data)
    checks = {check["name"]: check for check in found["checks"]}
    assert (checks["isolation"]["word"] == "ok") == (told.isolation != about.SESSION and not told.weaker)
    assert (checks["memory"]["word"] == "ok") == (told.groups is not None)
    shown = live.type("doctor")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"the server at {live.site.url}" in shown.stdout.splitlines()[0]
    assert f"\nisolation  {checks['isolation']['word']}" in shown.stdout


def test_a_job_s_notices_name_exactly_what_the_runner_found_weaker(live):
    job_id = live.type("run", "--detach", "--", "true").stdout.strip()
    notices = json.loads(live.type("jobs", "--json", job_id).stdout)["notices"]
    assert [notice for notice in notices if notice.startswith(about.HERE)] == about.notices(live.site.data)


def test_output_into_a_pipe_that_closes_early_is_no_error(live):
    for command in (["jobs"], ["doctor"], ["doctor", "--json"]):
        with live.start(*command) as process:
            process.stdout.close()
            assert "Traceback" not in process.stderr.read()
