"""`batchyard doctor`: what the server says, what is seen without one, and how it looks."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.cli.conftest import Refusal

TOLD = {
    "version": "9.9",
    "data": "/data",
    "checks": [
        {"name": "isolation", "word": "ok", "sentence": "Jobs are apart.", "remedy": None},
        {"name": "gpus", "word": "missing", "sentence": "There is none.", "remedy": "buy one"},
    ],
}


@pytest.fixture
def alone(environ, tmp_path):
    """The environment of a user whose data directory has no server."""
    environ.delenv("BATCHYARD_ENDPOINT")
    environ.setenv("BATCHYARD_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_server_is_asked(batchyard, api):
    api.on["/x/doctor"] = lambda _: TOLD
    result = batchyard("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        result.stdout
        == f"""\
Batchyard 9.9, the server at {api.url}; data in /data

isolation  ok       Jobs are apart.
gpus       missing  There is none.
                    -> buy one
"""
    )
    assert json.loads(batchyard("doctor", "--json").stdout) == {"server": api.url, **TOLD}


def test_without_a_server_it_looks_for_itself_and_says_so(batchyard, alone):
    result = batchyard("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no server runs" in result.stdout.splitlines()[0] and str(alone) in result.stdout.splitlines()[0]
    found = json.loads(batchyard("doctor", "--json").stdout)
    assert found["server"] is None
    names = [check["name"] for check in found["checks"]]
    assert {"isolation", "memory", "users", "docker", "podman", "gpus", "disk", "files", "python", "sqlite"} < set(
        names
    )
    assert {check["word"] for check in found["checks"]} <= {"ok", "weaker", "missing"}
    assert not alone.exists()  # it looks, and makes nothing


def test_a_server_that_is_gone_but_left_its_address_is_no_server(batchyard, alone):
    alone.mkdir()
    (alone / "endpoint").write_text("http://127.0.0.1:1\n")
    (alone / "access-key").write_text("A:B\n")
    assert json.loads(batchyard("doctor", "--json").stdout)["server"] is None


def test_a_named_server_that_does_not_answer_is_an_error(batchyard):
    """Its machine need not be this one."""
    result = batchyard("doctor", "--endpoint", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing answers at http://127.0.0.1:1" in result.stderr


def test_a_refusal_is_told(batchyard, api):
    def refuse(_):
        raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.", 403)

    api.on["/x/doctor"] = refuse
    result = batchyard("doctor")
    assert (result.exit_code, result.stderr) == (
        1,
        "batchyard: The security token included in the request is invalid.\n",
    )


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_colours_are_for_terminals_only_and_not_where_they_are_unwanted(alone, plain):
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"} | plain
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "batchyard", "doctor"]
    subprocess.run(command, stdout=writer, check=True, env=environ)
    os.close(writer)
    shown = b""
    while chunk := _read(reader):
        shown += chunk
    os.close(reader)
    assert (b"\x1b[" in shown) == (not plain), shown
    piped = subprocess.run(command, capture_output=True, check=True, env=environ).stdout
    assert b"\x1b[" not in piped


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how a terminal ends
        return b""
