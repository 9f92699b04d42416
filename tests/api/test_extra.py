"""Our own routes."""

from __future__ import annotations

import json
import threading

from batchyard.api import catalogue, extra, instances
from batchyard.model import ids, states
from batchyard.ports import AttemptRow
from batchyard.ports.journal import FollowerRow
from tests.api import caller
from tests.api.caller import signed
from tests.api.memory import Progress
from tests.doctor.runner import WEAK, tell


def test_a_job_with_notices_and_runs(server):
    server.furnish(container={"privileged": True})
    job_id = server.submit(arrayProperties={"size": 2})
    attempt = AttemptRow(1, 1, "i-1", 1_763_673_500_000, 1_763_673_500_010, None, None, None, None, None, None)
    server.store.states[job_id, 1] = Progress(states.RUNNING, None, 5, attempts=[attempt])
    for path in (f"/x/jobs/{job_id}:1", f"/x/jobs/{job_id}%3A1"):
        answer = signed(server.app, "GET", path)
        assert answer.status == 200
        job = json.loads(answer.body)
        assert job["jobId"] == f"{job_id}:1" and job["status"] == "RUNNING"
        assert any("privileged" in notice for notice in job["notices"])
        (run,) = job["runs"]
        assert run["workDirectory"].endswith(f"/work/{job_id}:1.1")
        assert run["logFile"].endswith(f"/logs/2025-11-20/{job_id}:1.1.log")
        assert run["environment"] == "ce" and run["peakMemoryBytes"] is None
    assert json.loads(signed(server.app, "GET", f"/x/jobs/{job_id}").body)["runs"] == []


def test_a_job_that_is_not_there(server):
    for job_id in ("nope", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11", "%00"):
        answer = signed(server.app, "GET", f"/x/jobs/{job_id}")
        assert answer.status == 400 and b"does not exist in region us-east-1" in answer.body


def test_usage_is_shown_when_an_attempt_has_ended(furnished):
    job_id = furnished.submit()
    attempt = AttemptRow(1, 1, "i-1", 1, 2, 3, 0, None, "x", 4096, 1500)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.SUCCEEDED, "x", 2, 3, attempts=[attempt])
    (run,) = json.loads(signed(furnished.app, "GET", f"/x/jobs/{job_id}", region="us-east-1").body)["runs"]
    assert (run["peakMemoryBytes"], run["cpuSeconds"], run["exitCode"]) == (4096, 1.5, 0)


def test_where_jobs_run_in_containers_they_have_no_working_directory_here(furnished, tmp_path):
    job_id = furnished.submit()
    attempt = AttemptRow(1, 1, "i-1", 1, 2, 3, 0, None, "x", 4096, 1500)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.SUCCEEDED, "x", 2, 3, attempts=[attempt])

    def directory():
        return json.loads(signed(furnished.app, "GET", f"/x/jobs/{job_id}").body)["runs"][0]["workDirectory"]

    assert directory() == str(tmp_path / "work" / f"{job_id}.1")
    tell(tmp_path, engine={"name": "docker", "version": "20.10", "socket": "/run/docker.sock", "rootless": False})
    assert directory() is None


def test_where_the_machine_is_weaker_every_job_s_notices_say_so_and_nothing_else_does(furnished, tmp_path):
    job_id = furnished.submit(arrayProperties={"size": 2})

    def looked(given):
        return json.loads(signed(furnished.app, "GET", f"/x/jobs/{given}").body)

    strong = looked(job_id)
    tell(tmp_path, **WEAK)
    for given in (job_id, f"{job_id}:1"):
        weak = looked(given)
        said = [notice for notice in weak["notices"] if notice.startswith("On this machine ")]
        assert len(said) == 2 and "no namespaces" in said[0] and "memory limits" in said[1]
        told = {name: value for name, value in weak.items() if name != "notices"}
        assert "On this machine" not in json.dumps(told) and "namespaces" not in json.dumps(told)
    assert looked(job_id)["notices"][: len(strong["notices"])] == strong["notices"]
    tell(tmp_path, isolation="namespaces", groups="/sys/fs/cgroup/x", uid=0)
    assert looked(job_id)["notices"] == strong["notices"]


def test_a_job_that_does_not_run_on_this_machine_is_not_bothered_with_it(furnished, tmp_path):
    tell(tmp_path, **WEAK)
    job_id = furnished.submit()
    environments = furnished.store.new_environments
    environments[:] = [environment._replace(provider="elsewhere") for environment in environments]
    assert "namespaces" not in signed(furnished.app, "GET", f"/x/jobs/{job_id}").body.decode()


def test_the_doctor(server, tmp_path):
    tell(tmp_path, **WEAK)
    answer = signed(server.app, "GET", "/x/doctor")
    assert answer.status == 200
    found = json.loads(answer.body)
    assert found["data"] == str(tmp_path) and found["version"]
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["isolation"]["word"] == "weaker" and checks["isolation"]["remedy"]
    assert set(checks["disk"]) == {"name", "word", "sentence", "remedy"}


def test_the_doctor_says_how_those_are_to_whom_events_go(server, monkeypatch):
    monkeypatch.setattr("batchyard.doctor.checks.examine", lambda *_: [])
    server.context.followers = lambda: [
        FollowerRow("event_file /tmp/e", 0, 0, None, None),
        FollowerRow("event_webhooks host 1f2e3d4c", 12, 3, "host answers 500", 1_700_000_000_000),
    ]
    well, ill = json.loads(signed(server.app, "GET", "/x/doctor").body)["checks"]
    assert well == {"name": "event_file", "word": "ok", "sentence": "/tmp/e: nothing waits.", "remedy": None}
    assert (ill["name"], ill["word"]) == ("event_webhooks", "weaker")
    assert ill["sentence"] == (
        "host 1f2e3d4c: host answers 500, since 2023-11-14 22:13:20 UTC; 12 entries of the journal wait; "
        "3 entries were deleted before it came to them."
    )
    assert "jobs_keep_days" in ill["remedy"]


def test_the_doctor_is_signed_for_and_only_read(server):
    assert caller.call(server.app, "GET", f"{caller.ENDPOINT}/x/doctor", [("host", "127.0.0.1:22824")]).status == 403
    answer = signed(server.app, "POST", "/x/doctor", b"{}")
    assert answer.status == 404 and b"GET /x/doctor" in answer.body


def test_a_slow_machine_does_not_keep_other_callers_waiting(server, monkeypatch):
    """The checks ask commands and sockets, so they are made outside of the event loop."""

    def slow(*_):
        threads.append(threading.current_thread())
        return []

    threads: list[threading.Thread] = []
    monkeypatch.setattr("batchyard.doctor.checks.examine", slow)
    assert json.loads(signed(server.app, "GET", "/x/doctor").body)["checks"] == []
    assert threads and threads[0] is not threading.main_thread()


def test_every_route_of_the_table_is_answered_and_another_is_told_of_them(furnished, tmp_path):
    (tmp_path / "metrics.prom").write_text("")
    job_id = furnished.submit()
    for each in extra.ROUTES:
        wants_body = each.path == instances.INTERRUPT or each[:2] == ("POST", catalogue.CATALOGUE)
        status = signed(furnished.app, each.method, each.path.replace("ID", job_id)).status
        assert status == (400 if wants_body else 200), each
    lost = signed(furnished.app, "GET", "/x/nowhere")
    assert lost.status == 404
    assert all(f"{each.method} {each.path}".encode() in lost.body for each in extra.ROUTES)
