"""`batchyard admin`: a file appears whole or not at all; what goes wrong is two lines."""

from __future__ import annotations

import json
import os
import stat

import pytest

from batchyard.store import backup as taking
from batchyard.store.sqlite import VERSION, migrate
from tests.cli.conftest import Refusal


@pytest.fixture
def archive(tmp_path):
    """The bytes of a real backup of an empty data directory."""
    data = tmp_path / "origin"
    data.mkdir()
    migrate(data)
    made = taking.take(data, 1_763_673_500_000)
    content = b"".join(made.chunks())
    made.close()
    return content


def test_a_backup_is_written_whole_for_its_owner_alone(batchyard, api, archive, tmp_path):
    api.on["/x/admin/backup"] = lambda _: archive
    result = batchyard("admin", "backup", "b.tar")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "b.tar").read_bytes() == archive
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert "as things stood at 2025-11-20" in result.stdout
    assert "batchyard admin restore b.tar --data DIR" in result.stdout
    assert [path.name for path in tmp_path.glob("*b.tar*")] == ["b.tar"]


def test_it_replaces_nothing_unless_told(batchyard, api, archive, tmp_path):
    api.on["/x/admin/backup"] = lambda _: archive
    (tmp_path / "b.tar").write_text("precious")
    result = batchyard("admin", "backup", "b.tar")
    assert (result.exit_code, (tmp_path / "b.tar").read_text()) == (1, "precious")
    assert "b.tar is there already" in result.stderr and "--force" in result.stderr
    assert not api.asked("/x/admin/backup"), "the server need not be asked"
    assert batchyard("admin", "backup", "--force", "b.tar").exit_code == 0
    assert (tmp_path / "b.tar").read_bytes() == archive


@pytest.mark.parametrize("what", ["garbage", "half", "error"])
def test_what_is_not_whole_is_not_kept(batchyard, api, archive, tmp_path, what):
    def answer(_):
        if what == "error":
            raise Refusal("ServiceUnavailableException", "A backup needs 9 MiB.", 503)
        return {"garbage": b"x" * 5000, "half": archive[: len(archive) // 2]}[what]

    api.on["/x/admin/backup"] = answer
    result = batchyard("admin", "backup", "b.tar")
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert not list(tmp_path.glob("*b.tar*"))


def test_a_place_that_cannot_be_written(batchyard, api, archive):
    api.on["/x/admin/backup"] = lambda _: archive
    result = batchyard("admin", "backup", "nowhere/b.tar")
    assert result.exit_code == 1
    assert result.stderr.startswith("batchyard: nowhere/b.tar cannot be written: No such file")


def test_restore_makes_a_data_directory(batchyard, archive, tmp_path):
    (tmp_path / "b.tar").write_bytes(archive)
    result = batchyard("admin", "restore", "b.tar", "--data", "new")
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir(tmp_path / "new")) == sorted(f"{which}.db" for which in VERSION)
    assert result.stdout.endswith(f"Start it: batchyard serve --data {tmp_path}/new\n")
    again = batchyard("admin", "restore", "b.tar", "--data", "new")
    assert again.exit_code == 1
    assert "not an empty directory" in again.stderr and "Nothing was written" in again.stderr


@pytest.mark.parametrize("content", [None, b"", b"x" * 3000])
def test_restore_of_what_is_no_backup(batchyard, tmp_path, content):
    if content is not None:
        (tmp_path / "b.tar").write_bytes(content)
    result = batchyard("admin", "restore", "b.tar", "--data", "new")
    assert result.exit_code == 1 and result.stderr.count("\n") == 2
    assert not (tmp_path / "new").exists()


def line(name: str, word: str, sentence: str, remedy: str | None = None) -> bytes:
    return json.dumps({"name": name, "word": word, "sentence": sentence, "remedy": remedy}).encode() + b"\n"


def test_check_shows_each_finding_and_exits_with_what_they_say(batchyard, api):
    api.on["/x/admin/check"] = lambda _: line("state.db", "ok", "Fine.") + line("arrays", "ok", "Fine too.")
    result = batchyard("admin", "check")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        ["state.db     ok      Fine.", "arrays       ok      Fine too."],
    )
    api.on["/x/admin/check"] = lambda _: line("arrays", "broken", "array 7 " + "has " * 60, "Restore.")
    result = batchyard("admin", "check")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith("arrays       broken  array 7 has") and lines[1].startswith(" " * 21 + "has")
    assert lines[-1] == " " * 21 + "-> Restore."
    told = json.loads(batchyard("admin", "check", "--json").stdout)
    assert [each["name"] for each in told] == ["arrays"]


def test_check_reads_the_files_itself_where_no_server_runs(batchyard, environ, tmp_path):
    environ.delenv("BATCHYARD_ENDPOINT")
    (tmp_path / "d").mkdir()
    migrate(tmp_path / "d")
    result = batchyard("admin", "check", "--data", "d")
    assert result.exit_code == 0, result.output
    (tmp_path / "d" / "state.db").write_bytes(b"garbage" * 1000)
    result = batchyard("admin", "check", "--data", "d")
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "cannot be read: file is not a database" in said and "batchyard admin restore" in said
    result = batchyard("admin", "check", "--data", "nowhere")
    assert result.exit_code == 1 and "There is no data directory" in result.stderr


def test_check_of_a_named_server_that_does_not_answer(batchyard, environ):
    environ.setenv("BATCHYARD_ENDPOINT", "http://127.0.0.1:1")
    result = batchyard("admin", "check")
    assert result.exit_code == 1 and "Nothing answers" in result.stderr
