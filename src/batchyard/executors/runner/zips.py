"""Zipped applications: from the address in an order to files that a job runs; in a slot, or a child of one."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from batchyard.executors.runner import unpacking
from batchyard.model import zip_images

ADDRESS_SHOWN = 100

holds = unpacking.holds


class ZipError(Exception):
    """The application cannot be had; the message is the whole reason, as container.reason tells it."""


def bring(
    told: Mapping[str, Any], place: Mapping[str, Any] | None, directory: int, given_up: Callable[[], bool] = bool
) -> None:
    """Unpack the application into an open directory that nobody else writes to.

    `told` is the order's `zip`: `address`, `from` (prefixes of addresses that are allowed) and `max_mib`, the bound of
    the archive and of what comes out of it. `place` is where the server says that it is: `url` and `headers`; None:
    where its address says, which does for all but S3. Raises ZipError, and then leaves nothing behind. Blocks,
    while it is fetched until `given_up`.
    """
    address, most_bytes = told["address"], told["max_mib"] << 20
    try:
        archive = _opened(told, place, directory, most_bytes, given_up)
        try:
            unpacking.unpack(archive, directory, most_bytes)
        finally:
            os.close(archive)
    except OSError as error:
        raise failed(address, error.strerror or str(error)) from None
    except unpacking.ArchiveError as error:
        raise failed(address, str(error)) from None
    except MemoryError:
        raise failed(address, "there is no memory to unpack it") from None


def check(told: Mapping[str, Any]) -> None:
    """ZipError for an application that may not be fetched at all: the server need not be asked where it is."""
    if not zip_images.allowed(told["address"], told["from"]):
        raise failed(told["address"], "the setting zip_from does not allow this address")


def load(told: Mapping[str, Any]) -> None:
    """Import all that `bring` needs, for who is about to be a user that may not read our files."""
    codecs.lookup("cp437")  # of names in archives
    if not told["address"].startswith("file:"):
        codecs.lookup("idna")
        # Only now: it brings OpenSSL with it, which no other slot needs.
        from batchyard.executors.runner import fetching  # noqa: F401


def failed(address: str, why: str) -> ZipError:
    """The error with the whole reason. Clients see some 250 characters of it: of a long address its ends."""
    if len(address) > ADDRESS_SHOWN:
        address = f"{address[: ADDRESS_SHOWN // 2]}...{address[-ADDRESS_SHOWN // 2 :]}"
    return ZipError(f"CannotPullContainerError: zip:{address}: {why}")


def _opened(
    told: Mapping[str, Any],
    place: Mapping[str, Any] | None,
    directory: int,
    most_bytes: int,
    given_up: Callable[[], bool],
) -> int:
    check(told)
    address = told["address"]
    if address.startswith("file:"):
        return _open_file(address, told["from"], most_bytes)
    if place is None and _is_s3(address):
        raise failed(address, "the server does not say where it is to be fetched")
    place = place or {"url": address}
    # Only now: these bring OpenSSL with them, which no other slot needs.
    from batchyard.executors.runner import fetching

    def may_follow(url: str) -> bool:
        return fetching.same_origin(url, place["url"]) if _is_s3(address) else zip_images.allowed(url, told["from"])

    file = _scratch(directory)
    try:
        fetching.fetch(place["url"], place.get("headers") or {}, may_follow, most_bytes, file, given_up)
    except fetching.FetchError as error:
        os.close(file)
        raise failed(address, str(error)) from None
    except BaseException:
        os.close(file)
        raise
    return file


def _is_s3(address: str) -> bool:
    return address.startswith("s3:")


def _open_file(address: str, prefixes: list[str], most_bytes: int) -> int:
    """The archive on this machine, where links in its path lead nowhere else than to what is allowed."""
    path = os.path.realpath(zip_images.file_path(address))
    tops = [os.path.realpath(zip_images.file_path(prefix)) for prefix in prefixes if prefix.startswith("file://")]
    if not any(path == top or path.startswith(f"{top.rstrip('/')}/") for top in tops):
        raise failed(address, f"it is {path}, which the setting zip_from does not allow")
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    about = os.fstat(file)
    if stat.S_ISREG(about.st_mode) and about.st_size <= most_bytes:
        return file
    os.close(file)
    if not stat.S_ISREG(about.st_mode):
        raise failed(address, "it is not a file")
    raise failed(address, f"it is larger than {most_bytes >> 20} MiB (setting zip_max_mib)")


def _scratch(directory: int) -> int:
    """A file without a name, where the application goes as well: on the disk of jobs, not in memory."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError:  # a file system that cannot
        name = ".archive.zip"
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
        os.unlink(name, dir_fd=directory)
        return file
