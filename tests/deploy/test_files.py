"""What deploy/ ships is checked: units by systemd's own verifier, the container file instruction by instruction."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from batchyard import config
from batchyard.executors.runner import memory
from batchyard.server import failures

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
TOO_NEW = re.compile(r".*: Unknown key .*DelegateSubgroup.* in section .*Service.*, ignoring\.")  # before systemd 254


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Every KEY=VALUE of the unit."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing: apt install systemd")
        pytest.skip("systemd-analyze is missing (Debian package systemd)")
    here = tmp_path / unit.name
    command = f"{Path(sys.executable).parent}/batchyard"  # what is verified is the unit, not this machine's /opt
    here.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={command}", unit.read_text(), flags=re.M))
    user = ["--user"] if "user" in unit.name else []
    done = subprocess.run(
        ["systemd-analyze", *user, "--man=no", "--generators=no", "verify", here],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line and not TOO_NEW.fullmatch(line)]
    assert done.returncode == 0 and said == [], done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_ends_no_job_and_waits_for_the_server(unit):
    told = settings_of(unit)
    assert told["KillMode"] == ["process"], "a restart must not end jobs"
    assert told["Type"] == ["notify"] and told["Restart"] == ["on-failure"]
    assert told["OOMPolicy"] == ["continue"], "a job without memory is no end of the service"
    assert told["DelegateSubgroup"] == [memory.DELEGATED]
    hopeless = {2, *(each.exit_code for each in (failures.KeyUnusable, failures.FileDamaged, failures.FileNewer))}
    assert {int(code) for code in told["RestartPreventExitStatus"][0].split()} == hopeless
    takes_away = ("PrivateTmp", "RestrictNamespaces", "ProtectControlGroups", "ProtectKernelTunables", "PrivateDevices",
                  "ProtectProc", "ProtectClock", "SystemCallFilter", "MemoryDenyWriteExecute")  # fmt: skip
    assert not set(takes_away) & set(told), "jobs need it"
    arguments = shlex.split(told["ExecStart"][0])[1:]
    from batchyard.cli.main import cli

    with cli.make_context("batchyard", arguments, resilient_parsing=True) as context:
        assert arguments[0] == "serve" and context.command.get_command(context, "serve") is not None


def test_the_settings_that_are_shipped_are_settings(tmp_path):
    text = (DEPLOY / "config.toml").read_text()
    every = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.M)
    assert tomllib.loads(text) == {}, "as shipped it changes nothing"
    (tmp_path / "c.toml").write_text(every)
    settings = config.load(environ={}, config=str(tmp_path / "c.toml"))
    for name in tomllib.loads(every):
        assert getattr(settings, name) == getattr(config.load(environ={}, config=os.devnull), name), "a default"


def test_the_service_finds_its_data_and_its_settings():
    told = settings_of(DEPLOY / "batchyard.service")
    assert told["Environment"] == [f"BATCHYARD_DATA=/var/lib/{told['StateDirectory'][0]}"]
    assert "--config /etc/batchyard/config.toml" in told["ExecStart"][0]
    assert told["User"][0] in (DEPLOY / "batchyard.sysusers").read_text()


def test_the_page_has_the_exit_codes_that_there_are():
    page = (ROOT / "docs" / "how-to" / "install-as-a-service.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
    assert listed == {2, *(failure.exit_code for failure in failures.ALL)}
    hopeless = {int(code) for code in re.findall(r"^\| (\d+) \|.*nothing is tried again", page, re.M)}
    told = settings_of(DEPLOY / "batchyard.service")["RestartPreventExitStatus"][0]
    assert hopeless == {int(code) for code in told.split()}


# -- the container file --------------------------------------------------------------------------------------------

INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    text = "\n".join(line for line in (DEPLOY / "Containerfile").read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n", " ", text)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def test_every_instruction_is_one():
    assert {name for name, _ in instructions()} == INSTRUCTIONS


def test_what_is_copied_is_there_and_is_all_that_the_build_needs():
    sources = [
        source
        for name, words in instructions()
        if name == "COPY" and "--from" not in words
        for source in words.split()[:-1]
    ]
    assert all((ROOT / source).exists() for source in sources)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], "src"}
    assert needed <= set(sources)


def test_every_shell_line_is_a_shell_s():
    for name, words in instructions():
        if name == "RUN":
            done = subprocess.run(["sh", "-n", "-c", words], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_it_runs_as_nobody_special_and_keeps_its_data():
    told = {name: words for name, words in instructions()}
    assert told["USER"] == "batchyard"
    assert told["VOLUME"] in told["ENV"]
    assert "--quit-runner" in told["CMD"], "no job outlives a container"


def test_the_health_check_says_whether_the_server_answers(tmp_path):
    (words,) = [words for name, words in instructions() if name == "HEALTHCHECK"]
    script = re.search(r'"-c", "(.*)"\]', words)[1]
    (tmp_path / "endpoint").write_text("http://127.0.0.1:9\n")
    environ = {"BATCHYARD_DATA": str(tmp_path), "PATH": os.environ["PATH"]}
    assert subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True).returncode == 1
    from tests.harness.site import Site

    site = Site(tmp_path / "data").start()
    try:
        environ["BATCHYARD_DATA"] = str(site.data)
        done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True)
        assert done.returncode == 0, done.stderr
    finally:
        site.destroy()
