"""From a backup's archive to a data directory: what it promises is checked before anything is kept.

An archive comes from anywhere: only plain members of known names and of the promised sizes are taken, each is
compared with its SHA-256, and the directory is whole or does not appear.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from batchyard.store.backup import CHUNK, FORMAT, FORMAT_VERSION, MANIFEST, ORDER
from batchyard.store.sqlite import VERSION, path_of

MANIFEST_MOST = 1 << 16  # bytes
_KNOWN = {path_of("", which).name: which for which in ORDER}
_NEEDED = {"state.db", "requests.db"}


class BadArchive(Exception):
    """It is not a whole backup that this version can use; the message says what is wrong with it."""


class Promised(NamedTuple):
    """A file of the archive as its manifest describes it."""

    name: str
    size: int
    sha256: str
    schema_version: int


class Manifest(NamedTuple):
    version: str  # of the Batchyard that took it
    taken_ms: int
    files: tuple[Promised, ...]


def inspect(path: Path) -> Manifest:
    """Read the archive to its end and compare it with its manifest. Raises BadArchive, OSError."""
    return _read(path, None)


def restore(path: Path, data: Path) -> Manifest:
    """Make the data directory `data` from the archive. Raises BadArchive, OSError.

    `data` must be empty or not exist. It gets its contents by one rename, or nothing.
    """
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BadArchive(f"{data} is not an empty directory: a backup is restored into a new one")
    data.parent.mkdir(parents=True, exist_ok=True)
    draft = data.with_name(f".{data.name}.restoring-{os.getpid()}")
    draft.mkdir(mode=0o700)
    try:
        manifest = _read(path, draft)
        for promised in manifest.files:
            _demand_database(draft / promised.name, promised)
        _sync(draft)
        if data.exists():
            data.rmdir()
        draft.rename(data)
        _sync(data.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return manifest


def _read(path: Path, into: Path | None) -> Manifest:
    with path.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                return _members(archive, into, path)
        except tarfile.TarError as error:
            raise BadArchive(f"{path} is no backup, or a part of one: {error}") from None


def _members(archive: tarfile.TarFile, into: Path | None, path: Path) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not _plain(first) or first.size > MANIFEST_MOST:
        raise BadArchive(f"{path} is no backup: it does not begin with {MANIFEST}")
    manifest = _manifest(_opened(archive, first).read(), path)
    if into is not None and shutil.disk_usage(into).free < sum(file.size for file in manifest.files):
        raise BadArchive(f"There is no room for what {path} holds: {sum(f.size for f in manifest.files) >> 20} MiB")
    for promised in manifest.files:
        member = archive.next()
        if member is None:
            raise BadArchive(f"{path} is not whole: {promised.name} is missing")
        if member.name != promised.name or not _plain(member) or member.size != promised.size:
            raise BadArchive(f"{path} holds {member.name!r} where its manifest promises the file {promised.name}")
        found = _copied(_opened(archive, member), into / promised.name if into else None)
        if found != promised.sha256:
            raise BadArchive(f"{promised.name} in {path} was changed since it was written: its SHA-256 is {found}")
    if (more := archive.next()) is not None:
        raise BadArchive(f"{path} holds {more.name!r}, of which its manifest knows nothing")
    return manifest


def _plain(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse() and not member.pax_headers


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    found = archive.extractfile(member)
    assert found is not None  # it is a plain file
    return found


def _copied(source: BinaryIO, target: Path | None) -> str:
    """The SHA-256 of what `source` holds, which is written to `target`, and on disk, if there is one."""
    found = hashlib.sha256()
    if target is None:
        while chunk := source.read(CHUNK):
            found.update(chunk)
        return found.hexdigest()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := source.read(CHUNK):
            found.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return found.hexdigest()


def _manifest(text: bytes, path: Path) -> Manifest:
    try:
        told: dict[str, Any] = json.loads(text)
        if told["format"] != FORMAT:
            raise ValueError(f"the format is {told['format']!r}")
        if told["formatVersion"] != FORMAT_VERSION:
            raise BadArchive(
                f"{path} has format {told['formatVersion']}, this Batchyard knows {FORMAT_VERSION}: "
                "restore it with the version that took it"
            )
        files = tuple(
            Promised(str(each["name"]), int(each["size"]), str(each["sha256"]), int(each["schemaVersion"]))
            for each in told["files"]
        )
        manifest = Manifest(str(told["version"]), int(told["takenAt"]), files)
        if not re.fullmatch(r"[\w.+-]{1,40}", manifest.version, re.ASCII):
            raise ValueError("the version is no version")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadArchive(f"{path} is no backup: its manifest cannot be read ({error})") from None
    names = [file.name for file in files]
    if len(set(names)) != len(names) or not _NEEDED <= set(names) <= set(_KNOWN):
        raise BadArchive(f"{path} is no backup of ours: it promises {', '.join(sorted(set(names))) or 'nothing'}")
    for file in files:
        if file.schema_version > VERSION[_KNOWN[file.name]] or file.schema_version < 1 or file.size < 0:
            raise BadArchive(
                f"{path} was taken by version {manifest.version}: {file.name} has schema version "
                f"{file.schema_version}, this Batchyard knows up to {VERSION[_KNOWN[file.name]]}"
            )
    return manifest


def _demand_database(path: Path, promised: Promised) -> None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        version, found = promised.schema_version, str(error)
    if found != "ok" or version != promised.schema_version:
        raise BadArchive(f"{promised.name} is damaged: {found} (schema version {version})")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
