"""The kinds of values that settings have: how each is written, and what it must be."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from batchyard.model import zip_images

MOST = 1_000_000_000  # of any number: what is computed from it fits where it is stored


class Kind(NamedTuple):
    """How values of a setting are written: `toml` is their type in the file; `check` takes such a value and returns
    the one to use, or raises ValueError, which says what it must be. Flags and variables are text, read as `toml`."""

    toml: type
    check: Callable[[Any], Any]


def _number(least: int, most: int, words: str) -> Kind:
    def check(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(words if value < least or most < MOST else f"must be at most {MOST}")
        return value

    return Kind(int, check)


def _one_of(*choices: str, what: str = "") -> Kind:
    words = f"must be {what}{', '.join(choices[:-1])} or {choices[-1]}"

    def check(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(words)
        return value.lower()

    return Kind(str, check)


def _account_number(value: str) -> str:
    if not re.fullmatch("[0-9]{12}", value):
        raise ValueError("must be 12 digits")
    return value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def _names_of(value: list) -> tuple[str, ...]:
    if not all(isinstance(name, str) and re.fullmatch(r"[^,=\s\0]*", name) for name in value):
        raise ValueError("must be names, without commas, spaces and equals signs in them")
    return tuple(name for name in value if name)


def _directories_of(value: list) -> tuple[str, ...]:
    if not all(isinstance(path, str) and re.fullmatch(r"/[^,\0]*", path) for path in value if path != ""):
        raise ValueError("must be absolute paths, without commas in them")
    return tuple(os.path.normpath(path) for path in value if path)


def _file_systems_of(value: list) -> tuple[str, ...]:
    """Each `fs-ID=/path`, or `fsap-ID=/path` for an access point; the path is normalised."""
    known: dict[str, str] = {}
    for entry in value:
        found = re.fullmatch(r"(fs(?:ap)?-[0-9a-z]+)=(/[^,\0]*)", entry) if isinstance(entry, str) else None
        if found is None:
            raise ValueError("must be of the form fs-0123abcd=/directory, more of them with commas between")
        if found[1] in known:
            raise ValueError(f"names {found[1]} twice")
        known[found[1]] = os.path.normpath(found[2])
    return tuple(f"{name}={path}" for name, path in known.items())


def _archives_of(value: list) -> tuple[str, ...]:
    """Prefixes of addresses of zipped applications."""
    for prefix in value:
        words = zip_images.fault_of_prefix(prefix) if isinstance(prefix, str) and prefix else None
        if words is not None or not isinstance(prefix, str):
            raise ValueError(f"must be beginnings of addresses, such as s3://bucket/apps/: {prefix!r}: {words}")
    return tuple(prefix for prefix in value if prefix)


def _web_address(value: str) -> str:
    words = "must be a URL such as https://host:port/path, in ASCII, without spaces and fragment"
    try:
        parts = urlsplit(value)
        well_formed = bool(parts.hostname) and parts.port != 0  # ValueError if it is none
    except ValueError:
        raise ValueError(words) from None
    if not (well_formed and re.fullmatch(r"https?://[!-~]+", value, re.IGNORECASE) and "#" not in value):
        raise ValueError(words)
    return value


def _web_addresses_of(value: list) -> tuple[str, ...]:
    if not all(isinstance(url, str) for url in value):
        raise ValueError("must be URLs")
    return tuple(_web_address(url) for url in value if url)


def _endpoints_of(value: list) -> tuple[str, ...]:
    for entry in value:
        service, equals, url = entry.partition("=") if isinstance(entry, str) else ("", "", "")
        if not equals or "://" in service:
            service, url = "S3", entry
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", service):
            raise ValueError("must be URLs, or of the form SERVICE=URL, such as s3=http://127.0.0.1:9000")
        _web_address(url)
    return tuple(value)


def _own_web_address(value: str) -> str:
    if value and urlsplit(_web_address(value)).username is not None:
        raise ValueError("must be a URL without user and password: requests are signed")
    return value


def _command_line(value: str) -> str:
    try:
        words = shlex.split(_without_nul(value))
    except ValueError as error:
        raise ValueError(f"must be a command and its arguments, as in a shell: {error}") from None
    if value and not words:
        raise ValueError("must be a command and its arguments, as in a shell")
    return value


NATURAL = _number(0, MOST, "must not be negative")
ALL_OR_SOME = _number(-1, MOST, "must be -1, 0 or more")
POSITIVE = _number(1, MOST, "must be at least 1")
PORT = _number(0, 65535, "must be a port, 0 to 65535 (0: any free one)")
SWITCH = Kind(bool, bool)
TEXT = Kind(str, _without_nul)
PATH = Kind(str, _without_nul)  # made absolute; empty stays empty
ACCOUNT = Kind(str, _account_number)
LEVEL = _one_of("debug", "info", "warning", "error")
FORMAT = _one_of("text", "json")
LOOPBACK = _one_of("127.0.0.1", "::1", "localhost", what="a loopback address: ")
EXECUTOR = _one_of("auto", "container", "process")
NETWORK = _one_of("host", "bridge", "none")
DIRECTORIES = Kind(list, _directories_of)  # of any list as text: with commas between
FILE_SYSTEMS = Kind(list, _file_systems_of)
NAMES = Kind(list, _names_of)
URLS = Kind(list, _web_addresses_of)
ARCHIVES = Kind(list, _archives_of)
ENDPOINTS = Kind(list, _endpoints_of)
URL = Kind(str, _own_web_address)
COMMAND = Kind(str, _command_line)
