"""Archives that strangers made: what is sound is unpacked as it is, anything else leaves nothing behind."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile

import pytest

from batchyard.executors.runner import unpacking
from batchyard.executors.runner.unpacking import ArchiveError, unpack

MIB = 1 << 20


def entry(name: str, mode: int = stat.S_IFREG | 0o644, **more) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    info.create_system, info.external_attr = 3, mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    for member, value in more.items():
        setattr(info, member, value)
    return info


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes | str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries:
            made.writestr(name if isinstance(name, zipfile.ZipInfo) else entry(name), data)
    return whole.getvalue()


@pytest.fixture
def unpacked(tmp_path):
    """Unpacks bytes into a directory, and gives its path."""
    directory = tmp_path / "app"
    directory.mkdir()

    def unpack_them(data: bytes, most_bytes: int = 64 * MIB):
        path = tmp_path / "archive.zip"
        path.write_bytes(data)
        file, into = os.open(path, os.O_RDONLY), os.open(directory, os.O_RDONLY)
        try:
            unpack(file, into, most_bytes)
        finally:
            os.close(file)
            os.close(into)
        return directory

    unpack_them.directory = directory
    return unpack_them


def refused(unpacked, data: bytes, words: str, **more) -> None:
    before = sorted(os.walk(unpacked.directory))
    with pytest.raises(ArchiveError) as told:
        unpacked(data, **more)
    assert words in str(told.value)
    assert sorted(os.walk(unpacked.directory)) == before, "nothing is left of it"


def test_files_directories_and_modes(unpacked):
    app = unpacked(
        archive(
            (entry("bin/run", stat.S_IFREG | 0o6755), "#!/bin/sh\n"),
            (entry("empty/", stat.S_IFDIR | 0o1777), ""),
            ("./data/deep/table.csv", "a,b\n"),
            ("größe.txt", "x"),
        )
    )
    assert (app / "bin/run").read_text() == "#!/bin/sh\n"
    assert stat.S_IMODE((app / "bin/run").stat().st_mode) == 0o755, "without set-user-id"
    assert stat.S_IMODE((app / "empty").stat().st_mode) == 0o755
    assert (app / "data/deep/table.csv").read_text() == "a,b\n"
    assert (app / "größe.txt").read_text() == "x"


def test_what_was_made_on_windows_can_be_run(unpacked):
    app = unpacked(archive((entry("run.sh", create_system=0, external_attr=0x20), "#!/bin/sh\n")))
    assert os.access(app / "run.sh", os.X_OK)


def test_a_directory_that_is_there_already_is_shared(unpacked):
    (unpacked.directory / "tmp").mkdir()
    assert (unpacked(archive(("tmp/x", "1"))) / "tmp/x").read_text() == "1"


def test_and_keeps_what_was_in_it_when_the_archive_is_bad(unpacked):
    (unpacked.directory / "tmp").mkdir()
    (unpacked.directory / "tmp/mine").write_text("mine")
    refused(unpacked, archive(("tmp/x", "1"), ("tmp/more/y", "2"), ("../z", "3")), "leads out of it")
    assert (unpacked.directory / "tmp/mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil", "leads out of it"),
        ("a/../../evil", "leads out of it"),
        ("a/b/../c", "leads out of it"),
        ("/etc/passwd", "absolute path"),
        ("C:/evil", "absolute path"),
        ("a\\b", "a character that it must not"),
        ("a\0b", "a character that it must not"),
        ("d/" * 70 + "f", "too long or too deep"),
        ("n" * 300, "too long or too deep"),
    ],
)
def test_names_that_lead_elsewhere(unpacked, name, words):
    refused(unpacked, archive(("fine", "1"), (name, "2")), words)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFLNK | 0o777, "a symbolic link"),
        (stat.S_IFCHR | 0o666, "no plain file"),
        (stat.S_IFBLK | 0o666, "no plain file"),
        (stat.S_IFIFO | 0o666, "no plain file"),
        (stat.S_IFSOCK | 0o666, "no plain file"),
    ],
)
def test_nothing_but_files(unpacked, mode, words):
    refused(unpacked, archive(("fine", "1"), (entry("odd", mode), "/etc/passwd")), words)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(unpacked):
    refused(unpacked, archive(("a", "1"), ("a", "2")), "'a' twice")
    refused(unpacked, archive(("a/b", "1"), ("a//./b", "2")), "twice")


def test_a_file_in_the_way(unpacked):
    refused(unpacked, archive(("a", "1"), ("a/b", "2")), "a file and a directory at once")
    refused(unpacked, archive(("a/b", "1"), ("a", "2")), "is there already")
    (unpacked.directory / "tmp").mkdir()
    refused(unpacked, archive(("tmp", "1")), "is there already")


def test_a_link_that_was_there_is_not_followed(unpacked, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (unpacked.directory / "way").symlink_to(tmp_path / "elsewhere")
    refused(unpacked, archive(("way/x", "1")), "a file and a directory at once")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_bombs(unpacked):
    zeros = bytes(40 * MIB)
    refused(unpacked, archive(("zeros", zeros)), "more than 100 times its size")
    noise = os.urandom(3 * MIB)
    refused(unpacked, archive(("a", noise), ("b", noise)), "more than 5 MiB come out of it", most_bytes=5 * MIB)
    assert (unpacked(archive(("zeros", zeros[: 10 * MIB]))) / "zeros").stat().st_size == 10 * MIB, "harms nobody"


def test_a_bomb_that_says_it_is_small(unpacked):
    """The size in the headers is a claim: what does not fit it is no sound archive, and no more than it is written."""
    data = archive(("zeros", bytes(30 * MIB)))
    lying = data.replace(struct.pack("<L", 30 * MIB), struct.pack("<L", 100))
    refused(unpacked, lying, "not a sound zip archive")


def test_overlapping_entries_are_counted_as_often_as_they_come_out(unpacked):
    """One compressed stream that many names share."""
    part = os.urandom(MIB)
    data = archive(("a000", part))
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    table = b"".join(data[start:end].replace(b"a000", b"a%03d" % number) for number in range(30))
    whole = data[:start] + table + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 30, 30, len(table), start, 0)
    refused(unpacked, whole, "it ", most_bytes=10 * MIB)


def test_huge_counts(unpacked, monkeypatch):
    monkeypatch.setattr(unpacking, "FILES_MOST", 50)
    refused(unpacked, archive(*((f"f{number}", "") for number in range(60))), "holds 60 files, more than 50")
    deep = (("/".join(f"{number}d{depth}" for depth in range(20)) + "/f", "") for number in range(5))
    refused(unpacked, archive(*deep), "more than 50 files and directories")


def test_a_huge_table_of_contents_is_not_even_read(unpacked, monkeypatch):
    monkeypatch.setattr(unpacking, "DIRECTORY_MOST", 70_000)
    many = archive(*((f"name-{number:050d}", "") for number in range(1000)))
    refused(unpacked, many, "table of contents is larger")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-10],
        lambda data: b"",
        lambda data: b"PK",
        lambda data: b"<html>not found</html>" * 40,
        lambda data: data[:60] + b"\xff" * 40 + data[100:],
        lambda data: data.replace(b"PK\3\4", b"PK\3\5"),
    ],
    ids=["half", "no end", "empty", "two bytes", "a page", "other bytes", "no header"],
)
def test_what_is_not_whole(unpacked, spoil):
    refused(unpacked, spoil(archive(("a", os.urandom(5000)), ("b", "2"))), "not a sound zip archive")


def test_encrypted(unpacked):
    data = bytearray(archive(("secret", "x")))
    data[6] |= 1  # the flag, in the file's own header and in the table
    data[data.index(b"PK\1\2") + 8] |= 1
    refused(unpacked, bytes(data), "'secret' is encrypted")


def test_methods_whose_cost_nobody_bounds(unpacked):
    refused(unpacked, archive((entry("x", compress_type=zipfile.ZIP_LZMA), "1")), "compressed by method 14")


def test_a_full_disk(unpacked, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacking.os, "fchmod", full)
    refused(unpacked, archive(("a/b", "1")), "No space left on device")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("run", "run"),
        ("./run", "run"),
        ("bin/go", "bin/go"),
        ("bin", None),
        ("ls", None),
        ("/bin/ls", None),
        ("../app/run", None),
        ("", None),
        ("a\0b", None),
    ],
)
def test_the_first_word_of_a_command(unpacked, word, found):
    app = unpacked(archive(("run", ""), ("bin/go", "")))
    directory = os.open(app, os.O_RDONLY)
    assert unpacking.holds(directory, word) == found
    os.close(directory)
