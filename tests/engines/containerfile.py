"""The Containerfiles of the examples, made into images without a registry: what they install comes from this machine.

Knows what the examples say and no more: `FROM python:...` or `FROM debian:...` (both are the busybox here, the first
with Python), `RUN` with `apt-get install` or `pip install`, and `COPY`. Anything else is an error.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

from tests.engines import images
from tests.engines.images import Archive

NOT_TAKEN = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/lintian/", "/usr/share/icons/")


class NotInstalled(Exception):
    """A package that the image needs is not on this machine; the message names it."""


def built(directory: Path) -> bytes:
    """The archive of the image that `directory`/Containerfile describes. Raises NotInstalled."""
    image = Archive()
    for line in (directory / "Containerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            images.put_python(image) if rest.startswith("python:") else images.put_busybox(image)
        elif word == "RUN":
            _run(image, rest)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                path = directory / source
                name = f"{target}{source}" if target.endswith("/") else target
                image.file(name, path.read_bytes(), path.stat().st_mode & 0o777)
        elif line.strip():
            raise ValueError(f"{directory}/Containerfile: {line!r} is not understood here")
    return image.bytes()


def _run(image: Archive, commands: str) -> None:
    for command in commands.split(" && "):
        words = [word for word in command.split() if not word.startswith("-")]
        if words[:2] == ["apt-get", "install"]:
            for package in words[2:]:
                images.put_python(image) if package == "python3" else _put_debian(image, package)
        elif words[:2] == ["pip", "install"]:
            for package in words[2:]:
                _put_distribution(image, package)
        elif words[:2] != ["apt-get", "update"] and words[0] != "rm":
            raise ValueError(f"{command!r} is not understood here")


def _put_debian(image: Archive, package: str) -> None:
    """Its files, and the shared libraries that its programs are linked with."""
    listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
    if listed.returncode:
        raise NotInstalled(f"{package} is not installed here: apt-get install {package}")
    files = [Path(name) for name in listed.stdout.splitlines() if not name.startswith(NOT_TAKEN)]
    files = [path for path in files if path.is_file()]
    image.programs(path for path in files if path.read_bytes()[:4] == b"\x7fELF")
    for path in files:
        image.copy(path)


def _put_distribution(image: Archive, name: str, known: set[str] | None = None) -> None:
    """A Python distribution of the tests' own environment, with what it requires."""
    known = set() if known is None else known
    if name in known:
        return
    known.add(name)
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise NotInstalled(f"the Python package {name} is not in the tests' environment: make test") from None
    for file in distribution.files or ():
        path = Path(distribution.locate_file(file))
        if path.is_file() and not str(file).startswith(".."):
            image.copy(path, f"{images.PACKAGES}/{file}")
    for required in distribution.requires or ():
        if "extra ==" not in required:
            _put_distribution(image, re.match(r"[\w.-]+", required)[0], known)
