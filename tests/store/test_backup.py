"""Backups: one moment of all files, taken beside the writers; archives that are not whole or not ours are refused."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchyard.errors import Unavailable
from batchyard.model.facts import RequestApplied
from batchyard.store import backup, restore
from batchyard.store.audit import OK, audit
from batchyard.store.commits import SqliteCommits
from batchyard.store.intake import SqliteIntake
from batchyard.store.sqlite import REQUESTS, STATE, VERSION, migrate, open_reader, path_of
from batchyard.store.upkeep import SqliteUpkeep

from .asking import furnish, job


@pytest.fixture
def filled(data, ask):
    """A data directory with a few jobs; which ones."""

    async def story(intake, yard):
        return [
            await intake.submit(job(yard, created_ms=5_000 + n, body=b'{"container":{},"n":%d}' % n)) for n in range(9)
        ]

    return ask(story)


def written(data, file):
    archive = backup.take(data, 1234)
    with file.open("wb") as out:
        for chunk in archive.chunks():
            out.write(chunk)
    assert file.stat().st_size == archive.size
    archive.close()
    return file


@pytest.fixture
def file(data, filled, tmp_path_factory):
    return written(data, tmp_path_factory.mktemp("kept") / "b.tar")


def test_an_archive_is_a_tar_that_begins_with_its_manifest(file):
    with tarfile.open(file) as archive:
        names = archive.getnames()
        told = json.load(archive.extractfile("manifest.json"))
        assert all(member.isreg() and member.mode == 0o600 for member in archive)
    assert names == ["manifest.json", "observe.db", "state.db", "requests.db"] or names[0] == "manifest.json"
    assert names[-2:] == ["state.db", "requests.db"]
    assert (told["format"], told["formatVersion"], told["takenAt"]) == ("batchyard-backup", 1, 1234)
    assert {each["name"]: each["schemaVersion"] for each in told["files"]} == {f"{w}.db": VERSION[w] for w in VERSION}


def test_what_was_stored_is_what_is_restored(data, filled, file, tmp_path):
    target = tmp_path / "new" / "data"
    manifest = restore.restore(file, target)
    assert manifest.taken_ms == 1234
    assert sorted(path.name for path in target.iterdir()) == sorted(f"{which}.db" for which in VERSION)
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in target.iterdir())
    migrate(target)
    for which in VERSION:
        with closing(open_reader(data, which)) as before, closing(open_reader(target, which)) as after:
            assert list(before.iterdump()) == list(after.iterdump())
    assert all(finding.word == OK for finding in audit(target, rest=False))


def test_nothing_is_left_in_the_data_directory(data, filled, file):
    assert not list(data.glob("backup-*"))
    (data / "backup-x1").mkdir()
    (data / "backup-x1" / "state.db").write_text("left by one that died")
    SqliteUpkeep(data, lambda: 1)
    assert not list(data.glob("backup-*"))


def test_one_backup_at_a_time(data, filled):
    upkeep = SqliteUpkeep(data, lambda: 1)
    first = upkeep.backup()
    with pytest.raises(Unavailable, match="taken already"):
        upkeep.backup()
    first.close()
    first.close()
    upkeep.backup().close()


def test_without_room_it_is_refused_before_a_byte_is_copied(data, filled):
    with pytest.raises(Unavailable, match="A backup needs .* MiB for a while"):
        backup.take(data, 1, reserve_bytes=1 << 62)
    assert not list(data.glob("backup-*"))
    SqliteUpkeep(data, lambda: 1).backup().close()


def test_a_file_that_cannot_be_read_is_no_traceback(data, filled):
    path_of(data, REQUESTS).write_bytes(b"garbage, " * 5000)
    with pytest.raises(Unavailable, match="could not be taken.*file is not a database.*batchyard admin check"):
        backup.take(data, 1)
    assert not list(data.glob("backup-*"))


def test_every_backup_under_load_is_of_one_moment(data, tmp_path):
    """Submissions and commits go on without a pause; each backup has what was acknowledged before it began."""
    kept, acknowledged, stop = [], [], threading.Event()

    async def submit():
        intake = SqliteIntake(data)
        yard = await furnish(intake, data)
        while not stop.is_set():
            for uuid in await asyncio.gather(*(intake.submit(job(yard)) for _ in range(20))):
                acknowledged.append(uuid)
        await intake.close()

    def decide():
        commits, after, now_ms = SqliteCommits(data), 0, 1
        while not stop.is_set():
            if events := commits.requests(after, 50, lambda seq: False):
                after = max(event.seq for event in events)
                commits.commit(now_ms := now_ms + 1, [RequestApplied(after)])
        commits.close()

    threads = [threading.Thread(target=lambda: asyncio.run(submit())), threading.Thread(target=decide)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            known = len(acknowledged)
            kept.append((known, written(data, tmp_path / f"{number}.tar")))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert kept[-1][0] > kept[0][0], "nothing was submitted meanwhile"
    for known, file in kept:
        target = tmp_path / file.stem
        restore.restore(file, target)
        migrate(target)
        with closing(open_reader(target, REQUESTS)) as asked, closing(open_reader(target, STATE)) as state:
            there = {row[0].hex() for row in asked.execute("SELECT uuid FROM jobs")}
            assert {uuid.replace("-", "") for uuid in acknowledged[:known]} <= there
            last, applied = asked.execute("SELECT last_seq FROM meta"), state.execute("SELECT applied_seq FROM meta")
            assert applied.fetchone()[0] <= last.fetchone()[0]


# -- archives that are not what they should be ---------------------------------------------------------------------


def members(file) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]


def rewritten(file, change) -> None:
    """Write the archive anew with what `change(list of members)` made of it."""
    found = members(file)
    found = change(found) or found
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in found:
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def odd(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


def manifest_with(**changes):
    def change(found):
        told = json.loads(found[0][1])
        told.update(changes)
        found[0] = (found[0][0], json.dumps(told).encode())

    return change


def files_with(**changes):
    def change(found):
        told = json.loads(found[0][1])
        told["files"][-1].update(changes)
        found[0] = (found[0][0], json.dumps(told).encode())

    return change


HOSTILE = {
    "no manifest": lambda found: found.pop(0) and None,
    "nothing": lambda found: found.clear(),
    "one more": lambda found: found.append(odd("../../etc/passwd")),
    "one more that is absolute": lambda found: found.append(odd("/etc/passwd")),
    "one missing": lambda found: found.pop() and None,
    "another order": lambda found: found.insert(1, found.pop()),
    "twice": lambda found: found.append(found[-1]),
    "a link for a file": lambda found: found.__setitem__(-1, odd("requests.db", tarfile.SYMTYPE, "/etc/passwd")),
    "a hard link": lambda found: found.__setitem__(-1, odd("requests.db", tarfile.LNKTYPE, "state.db")),
    "a device": lambda found: found.__setitem__(-1, odd("requests.db", tarfile.CHRTYPE)),
    "a pipe": lambda found: found.__setitem__(-1, odd("requests.db", tarfile.FIFOTYPE)),
    "a directory": lambda found: found.__setitem__(-1, odd("requests.db", tarfile.DIRTYPE)),
    "a link for the manifest": lambda found: found.__setitem__(0, odd("manifest.json", tarfile.SYMTYPE, "/etc/passwd")),
    "other content": lambda found: found.__setitem__(-1, (found[-1][0], b"x" * len(found[-1][1]))),
    "shorter content": lambda found: found.__setitem__(-1, (found[-1][0], found[-1][1][:-4096])),
    "no JSON": lambda found: found.__setitem__(0, (found[0][0], b"{")),
    "deep JSON": lambda found: found.__setitem__(0, (found[0][0], b"[" * 50_000)),
    "a long manifest": lambda found: found.__setitem__(0, (found[0][0], found[0][1] + b" " * 70_000)),
    "another format": manifest_with(format="zip"),
    "a later format": manifest_with(formatVersion=2),
    "no files": manifest_with(files=[]),
    "files that are none": manifest_with(files=[1]),
    "a version that moves the cursor": manifest_with(version="1\x1b[2J"),
    "a time that is none": manifest_with(takenAt=float("inf")),
    "a file of another name": files_with(name="access-key"),
    "a path": files_with(name="../requests.db"),
    "a newer schema": files_with(schemaVersion=99),
    "an older schema than it has": files_with(schemaVersion=1),
    "a negative size": files_with(size=-1),
    "a huge size": files_with(size=1 << 62),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_an_archive_that_is_not_ours_is_refused_and_nothing_is_kept(file, tmp_path, how):
    rewritten(file, HOSTILE[how])
    target = tmp_path / "data2"
    with pytest.raises(restore.BadArchive) as caught:
        restore.restore(file, target)
    assert "\x1b" not in str(caught.value)
    assert not target.exists() and not list(tmp_path.glob(".data2*"))


@pytest.mark.parametrize("how", ["text", "empty", "half", "gzip"])
def test_a_file_that_is_no_whole_archive_is_refused(file, tmp_path, how):
    content = file.read_bytes()
    if how == "gzip":
        with tarfile.open(file, "w:gz") as archive:
            archive.add(__file__, "manifest.json")
    else:
        file.write_bytes({"text": b"hello " * 500, "empty": b"", "half": content[: len(content) // 2]}[how])
    with pytest.raises(restore.BadArchive):
        restore.restore(file, tmp_path / "data2")
    assert not (tmp_path / "data2").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1 << 20), flipped=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_does_not_matter(file, tmp_path, at, flipped):
    content = bytearray(file.read_bytes())
    at %= len(content)
    content[at] ^= flipped
    changed, target = tmp_path / "changed.tar", tmp_path / "target"
    changed.write_bytes(content)
    try:
        restore.restore(changed, target)
    except restore.BadArchive:
        assert not target.exists()
        return
    for which in VERSION:
        original = next(body for member, body in members(file) if member.name == f"{which}.db")
        assert path_of(target, which).read_bytes() == original
    shutil.rmtree(target)


def test_a_directory_that_is_not_empty_is_left_alone(file, tmp_path):
    target = tmp_path / "data2"
    target.mkdir()
    (target / "precious").write_text("x")
    with pytest.raises(restore.BadArchive, match="not an empty directory"):
        restore.restore(file, target)
    assert [path.name for path in target.iterdir()] == ["precious"]
    with pytest.raises(restore.BadArchive, match="not an empty directory"):
        restore.restore(file, target / "precious")


def test_an_empty_directory_is_taken(file, tmp_path):
    (tmp_path / "data2").mkdir()
    restore.restore(file, tmp_path / "data2")
    assert (tmp_path / "data2" / "state.db").exists()


def test_a_file_that_is_damaged_inside_is_refused(data, filled, tmp_path):
    """Its SHA-256 is right: it was damaged before the backup."""
    path = path_of(data, REQUESTS)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'texts'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 200)
    with pytest.raises(restore.BadArchive, match="requests.db is damaged"):
        restore.restore(written(data, tmp_path / "b.tar"), tmp_path / "data2")
