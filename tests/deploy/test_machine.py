"""The machine's unit under a systemd that is process 1: the page is typed; restarts, stops, kills, and what jobs do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import Machine, Refused

ROOT = Path(__file__).resolve().parents[2]
BATCHYARD = "/opt/batchyard/bin/batchyard"
OUTSIDE = ("python3 -m venv", "/opt/batchyard/bin/pip")  # lines of the page that need an index of packages


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    if os.geteuid() != 0 or shutil.which("systemctl") is None:
        pytest.skip("a machine of its own takes root and systemd (Debian package systemd)")
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE", "src", "deploy"):
        subprocess.run(["cp", "-r", ROOT / name, checkout], check=True)
    try:
        with Machine(tmp_path_factory.mktemp("machine"), checkout) as machine:
            yield machine
    except Refused as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def service(machine):
    """What docs/how-to/install-as-a-service.md says for the machine, typed: python3 -m venv and
    /opt/batchyard/bin/pip install, install -D and install -m of what deploy/ holds, systemd-sysusers, systemctl enable
    --now, /opt/batchyard/bin/batchyard doctor."""
    page = (ROOT / "docs" / "how-to" / "install-as-a-service.md").read_text()
    (script,) = re.findall(r"<!-- test: run by tests/deploy/test_machine.py -->\n```sh\n(.*?)```", page, re.S)
    lines = script.splitlines()
    outside = [line for line in lines if line.startswith(OUTSIDE)]
    machine.install("\n".join(outside))
    told = machine.do("\n".join(line for line in lines if line not in outside))
    assert "the server at http://127.0.0.1:22824; data in /var/lib/batchyard" in told
    return machine


def job(service, script: str) -> str:
    """A job that runs, in a directory where its user may be; its id."""
    told = service.do(
        f"cd /; {BATCHYARD} run --data /var/lib/batchyard --detach --memory 64 -- sh -c '{script}'"
    ).strip()
    service.wait_for(is_in(told, "RUNNING"), f"{script} runs")
    return told


def is_in(job: str, status: str) -> str:
    """A script that succeeds when the job is."""
    return f'{BATCHYARD} jobs --data /var/lib/batchyard --json {job} | grep -q \'"status": *"{status}"\''


def described(service, job: str) -> dict:
    return json.loads(service.do(f"{BATCHYARD} jobs --data /var/lib/batchyard --json {job}"))


def shown(service, name: str) -> str:
    return service.do(f"systemctl show -P {name} batchyard").strip()


@pytest.mark.long
def test_jobs_run_as_the_services_user_and_see_neither_key_nor_settings(service):
    told = job(service, "id -un; cat /var/lib/batchyard/access-key /etc/batchyard/config.toml; sleep 3; exit 7")
    service.wait_for(is_in(told, "FAILED"), "it ends")
    said = service.do(f"{BATCHYARD} logs --data /var/lib/batchyard {told}")
    assert said.startswith("batchyard\n") and said.count("No such file") + said.count("ermission denied") >= 1
    assert described(service, told)["container"]["exitCode"] == 7


@pytest.mark.long
def test_a_restart_ends_no_job_a_stop_lets_them_go_on(service):
    survives, before = job(service, "until [ -e /tmp/go ]; do sleep 0.1; done; echo done"), shown(service, "MainPID")
    service.do("systemctl restart batchyard")
    assert shown(service, "MainPID") != before
    assert described(service, survives)["status"] == "RUNNING"
    service.do("touch /tmp/go")
    service.wait_for(is_in(survives, "SUCCEEDED"), "it goes on to its end")
    assert service.do(f"{BATCHYARD} logs --data /var/lib/batchyard {survives}") == "done\n"
    goes_on = job(service, "until [ -e /tmp/on ]; do sleep 0.1; done; touch /tmp/went-on")
    service.do("systemctl stop batchyard")
    assert shown(service, "ActiveState") == "inactive"
    service.do("touch /tmp/on")
    service.wait_for("test -e /tmp/went-on", "it goes on without a server")
    service.do("systemctl start batchyard")
    service.wait_for(is_in(goes_on, "SUCCEEDED"), "the next server finds its end")


@pytest.mark.long
def test_a_crash_heals_itself_and_a_kill_of_all_is_a_lost_host(service):
    lives, restarts = job(service, "exec sleep 600"), int(shown(service, "NRestarts"))
    service.do(f"kill -9 {shown(service, 'MainPID')}")
    service.wait_for(f"test $(systemctl show -P NRestarts batchyard) -gt {restarts}", "it is started again")
    service.wait_for("systemctl is-active batchyard", "it is up")
    assert described(service, lives)["status"] == "RUNNING"
    service.do("systemctl kill --signal=KILL batchyard")
    service.wait_for(is_in(lives, "FAILED"), "what was killed with everything is lost")
    assert re.fullmatch(r"Host EC2 \(instance i-\w+\) terminated\.", described(service, lives)["statusReason"])


@pytest.mark.long
def test_a_wrong_setting_is_told_and_not_tried_again(service):
    service.do("cp /etc/batchyard/config.toml /tmp/kept; echo 'prot = 1' >>/etc/batchyard/config.toml")
    assert not service.tries("systemctl restart batchyard")
    service.wait_for("test $(systemctl show -P ActiveState batchyard) = failed", "it is given up")
    assert shown(service, "ExecMainStatus") == "2"
    service.do("cp /tmp/kept /etc/batchyard/config.toml; systemctl reset-failed batchyard; systemctl start batchyard")


@pytest.mark.long
def test_as_root_jobs_run_as_the_user_that_they_name(service):
    page = (ROOT / "docs" / "how-to" / "install-as-a-service.md").read_text()
    (override,) = re.findall(r"<!-- test: file override.conf -->\n```ini\n(.*?)```", page, re.S)
    place = "/etc/systemd/system/batchyard.service.d"
    service.do(f"mkdir {place}; cat >{place}/override.conf <<'END'\n{override}END\nsystemctl daemon-reload")
    service.do("systemctl restart batchyard")
    told = job(service, "id -un; sleep 3")
    service.wait_for(is_in(told, "SUCCEEDED"), "it ends")
    said = service.do(f"{BATCHYARD} doctor --data /var/lib/batchyard")
    assert re.search(r"^users +ok", said, re.M), said
    service.do(f"rm -r {place}; systemctl daemon-reload; systemctl restart batchyard")
