"""What the commands print, to the letter. After a change that is meant: ``make bless``, and read the difference.

Not here are the pages of --help, which docs/reference/cli.md has, and what is click's own wording.
"""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from batchyard.cli.main import cli
from tests.cli.conftest import LiveServer, ScriptedApi
from tests.golden.typist import Typist, recorded
from tests.harness.site import Site


def first_run(types: Typist) -> None:
    types("jobs")
    types("env")
    types("run", "--", "echo", "hello")
    types("run", "--array", "4", "--", "sh", "-c", "echo child $AWS_BATCH_JOB_ARRAY_INDEX")
    types("jobs")
    job = types.started("--name", "three", "--env", "COLOUR=blue", "--memory", "64", "--", "sh", "-c", "echo $COLOUR")
    types("logs", "-f", job)
    types("logs", job)
    types("jobs", job)
    types("run", "--detach", "--json", "--", "true")


def failures(types: Typist) -> None:
    types("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    types("run", "--", "no-such-command")
    types("run", "--", "sh", "-c", "kill -9 $$")
    types("run", "--array", "4", "--name", "four", "--", "sh", "-c", "exit $((AWS_BATCH_JOB_ARRAY_INDEX == 2))")
    listed = json.loads(types("jobs", "--json", "--status", "FAILED", "--limit", "1"))
    types("jobs", listed[0]["jobId"])
    types("jobs", f"{listed[0]['jobId']}:2")
    types("logs", listed[0]["jobId"])


def ends(types: Typist) -> None:
    job = types.started("--name", "long", "--", "sh", "-c", "echo up; exec sleep 100")
    types.live.site.wait_for(lambda: _up(types, job), "it runs")
    types("terminate", job)
    types.live.site.finished(job)
    types("jobs", job)
    types("logs", job)
    types("terminate", job)
    array = types.started("--array", "3", "--name", "three", "--", "sh", "-c", "echo up; exec sleep 100")
    for index in range(3):
        types.live.site.wait_for(lambda index=index: _up(types, f"{array}:{index}"), "all run")
    types("terminate", f"{array}:1", "--reason", "no need of this one")
    types.live.site.finished(f"{array}:1")
    types("jobs", f"{array}:1")
    types("terminate", array)
    types.live.site.finished(array)
    types("jobs", "--limit", "1")


def _up(types: Typist, job: str) -> bool:
    return types.live.type("logs", job).stdout == "up\n"


def waits(types: Typist) -> None:
    large = types.started("--vcpus", "8", "--memory", "64", "--", "true")
    _told(types, large, "cannot start")
    types("explain", large)
    types("jobs", large)
    small = types.started("--memory", "64", "--", "true")
    _told(types, small, '"TURN"')
    types("explain", small)
    array = types.started("--array", "3", "--memory", "64", "--", "true")
    _told(types, array, "It waits behind 2")
    types("explain", array)
    types("terminate", large)
    types.live.site.finished(small)
    types("explain", large)
    types("explain", "nope")


def _told(types: Typist, job: str, text: str) -> None:
    """Wait until the engine has shown why a job waits."""
    types.live.site.wait_for(lambda: text in types.live.type("explain", "--json", job).stdout, text)


def mistakes(types: Typist) -> None:
    unknown = "00000000-0000-4000-8000-0000000000ff"
    types("run", "--env", "NOT_SET_ANYWHERE", "--", "true")
    types("run", "--queue", "nope", "--", "true")
    types("run", "--name", "a name", "--", "true")
    types("jobs", unknown)
    types("jobs", "--queue", "nope")
    types("logs", unknown)
    types("logs", "not an id")
    types("terminate", unknown)
    types("jobs", "--endpoint", "http://127.0.0.1:1")
    types("jobs", "--endpoint", "nonsense")
    types("jobs", "--data", "/nonexistent")
    types("serve", "--port", "0")
    types("serve", "--port", "99999")


def upkeep(types: Typist) -> None:
    types("run", "--", "true")
    types("admin", "check")
    types("admin", "backup", "b.tar")
    types("admin", "backup", "b.tar")
    types("admin", "backup", "--force", "b.tar")
    types("admin", "restore", "b.tar", "--data", "restored")
    types("admin", "restore", "b.tar", "--data", "restored")
    types("admin", "check", "--data", "restored")
    (types.live.directory / "restored" / "state.db").write_bytes(b"garbage, " * 1000)
    types("admin", "check", "--data", "restored")
    types("serve", "--data", "restored", "--port", "0")


SCENARIOS = (first_run, failures, ends, waits, mistakes, upkeep)


@pytest.fixture
def live(tmp_path):
    (tmp_path / "here").mkdir()
    site = Site(tmp_path / "data", "--vcpus", "4").start()
    server = LiveServer(site, tmp_path / "here")
    server.environ["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    yield server
    site.destroy()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_what_the_commands_print(live, scenario):
    types = Typist(live)
    scenario(types)
    compare(scenario.__name__, types.text())


def test_no_transcript_is_an_orphan():
    kept = {path.stem for path in recorded("any").parent.glob("*.txt")}
    assert kept == {scenario.__name__ for scenario in SCENARIOS} | {"doctor"}


def test_what_the_doctor_prints(tmp_path, monkeypatch):
    """Its checks are made up here: what it finds is the machine's."""
    checks = [
        {"name": "isolation", "word": "ok", "sentence": "Jobs run in namespaces of their own.", "remedy": None},
        {"name": "memory", "word": "weaker", "sentence": "Memory is polled.", "remedy": "delegate a control group"},
        {"name": "gpus", "word": "missing", "sentence": "There is no GPU.", "remedy": None},
    ]
    api = ScriptedApi()
    api.on["/x/doctor"] = lambda _: {"version": "9.9", "data": "/data", "checks": checks}
    for name, value in {"ENDPOINT": api.url, "ACCESS_KEY_ID": "BYAK", "SECRET_ACCESS_KEY": "none"}.items():
        monkeypatch.setenv(f"BATCHYARD_{name}", value)
    monkeypatch.chdir(tmp_path)
    try:
        said = "".join(
            f"$ batchyard {' '.join(words)}\n{CliRunner().invoke(cli, words, prog_name='batchyard').output}\n"
            for words in (["doctor"], ["doctor", "--json"])
        )
    finally:
        api.server.shutdown()
        api.server.server_close()
    compare("doctor", said.replace(api.url, "http://127.0.0.1:22824"))


def compare(name: str, said: str) -> None:
    """Fails where the transcript is not the one that is kept; with BLESS set, keeps this one."""
    kept = recorded(name)
    if os.environ.get("BLESS"):
        kept.write_text(said)
    assert said == kept.read_text(), f"{kept.name} says otherwise. If this is what it should be: make bless"
