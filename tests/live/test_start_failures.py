"""What keeps a server from starting: a sentence, a next step and an exit code of its own; never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from batchyard.server import failures
from batchyard.store import sqlite
from tests.harness.site import Site

NOBODY = 65534


# Another user may not be able to read the interpreter's own files: all is imported before.
AS_USER = """
import os, sys
import batchyard.cli.serve, batchyard.server.start
from batchyard.cli.main import main
if sys.argv[1] != "None":
    os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
del sys.argv[1]
main()
"""


def serve(data, *flags, user: int | None = None, **environ) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-c", AS_USER, str(user), "serve", "--data", str(data), "--port", "0", *flags]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHYARD_")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=kept | {"HOME": "/nowhere"} | environ,
        cwd="/",
        check=False,
    )


def refused(failure: type[failures.ServeError], words: str, data, *flags, **more) -> str:
    """The start fails in that way, in two lines; in JSON it says the same."""
    done = serve(data, *flags, **more)
    lines = done.stderr.splitlines()
    assert done.returncode == failure.exit_code, done.stderr
    assert len(lines) == 2 and done.stdout == "", done.stderr
    assert lines[0].startswith("batchyard: ") and words in lines[0], lines
    assert lines[1].startswith("  ") and lines[1].endswith("."), lines
    done = serve(data, *flags, "--log-format", "json", **more)
    (told,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (told["level"], told["exit"], done.returncode) == ("critical", failure.exit_code, failure.exit_code)
    assert words in told["message"] and told["next"]
    return lines[0]


def test_a_data_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    refused(failures.DataUnusable, f"{tmp_path}/file", tmp_path / "file" / "data")
    refused(failures.DataUnusable, f"{tmp_path}/file", tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_data_directory_of_somebody_else():
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, whose parents are closed to others
        base = Path(name)
        base.chmod(0o755)
        (base / "data").mkdir(mode=0o700)
        refused(failures.DataUnusable, "Permission denied", base / "data", user=NOBODY)
        (base / "data").chmod(0o755)
        refused(failures.DataUnusable, "Permission denied", base / "data", user=NOBODY)
        refused(failures.DataUnusable, "Permission denied", base / "new", user=NOBODY)
        sqlite.migrate(base / "data")
        for path in (base / "data").iterdir():
            path.chmod(0o644)
        for path in ("logs", "work", "runner", "runner/slots", "runner/exits"):
            (base / "data" / path).mkdir()
        refused(failures.DataUnusable, "Permission denied", base / "data", user=NOBODY)


def test_a_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = refused(failures.PortTaken, "Address already in use", tmp_path / "data", "--port", port)
    assert port in said


def test_a_data_directory_that_is_in_use(tmp_path):
    site = Site(tmp_path / "data").start()
    try:
        said = refused(failures.AlreadyServing, "Another server", site.data)
        assert str(site.process.pid) in said
    finally:
        site.destroy()


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [(None, 0, "No such file"), ("A:b", 0o644, "others may read it"), ("A", 0o600, "must hold one line ID:SECRET"),
     ("A:b c", 0o600, "printable"), ("\0", 0o600, "must hold one line")],
)  # fmt: skip
def test_a_key_file_that_cannot_be_used(tmp_path, content, mode, words):
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
        key.chmod(mode)
    refused(failures.KeyUnusable, words, tmp_path / "data", "--access-key-file", str(key))


def test_half_a_key_in_the_environment(tmp_path):
    refused(failures.KeyUnusable, "set both or neither", tmp_path / "data", BATCHYARD_ACCESS_KEY_ID="A")


def made(data):
    data.mkdir(mode=0o700)
    sqlite.migrate(data)
    return data


@pytest.mark.parametrize("which", [sqlite.REQUESTS, sqlite.STATE])
def test_a_file_that_is_no_database(tmp_path, which):
    path = sqlite.path_of(made(tmp_path / "data"), which)
    path.write_bytes(b"not a database, " * 1000)
    assert which in refused(failures.FileDamaged, "is damaged", tmp_path / "data")


def test_a_file_whose_tables_are_not_ours(tmp_path):
    path = sqlite.path_of(made(tmp_path / "data"), sqlite.STATE)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE meta")
    db.close()
    refused(failures.FileDamaged, "is damaged", tmp_path / "data")


def test_a_file_of_a_newer_batchyard(tmp_path):
    path = sqlite.path_of(made(tmp_path / "data"), sqlite.STATE)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    refused(failures.FileNewer, f"{path} has schema version 99", tmp_path / "data")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs takes root and the mount command (Debian package mount)")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_full_from_the_start(small_disk):
    """Whatever step of the start runs out of room first, it is said in the same words."""
    for left in (0, 4096, 8192, 40960, 90112):
        data = small_disk / "data"
        shutil.rmtree(data, ignore_errors=True)
        (small_disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - left))
        refused(failures.DiskFull, f"The disk of {data} is full", data)
        (small_disk / "ballast").unlink()


def test_a_disk_that_was_filled_after_an_earlier_start(small_disk):
    data = made(small_disk / "data")
    (small_disk / "ballast").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    refused(failures.DiskFull, f"The disk of {data} is full", data)
