"""The clients' virtual environments, one each below `.venv/clients`: their pins of botocore differ.

`make clients` makes those that are missing or whose requirements have changed (told by a hash). Where that fails, the
reason is kept and the tests of that client skip with it; with CI set, `make clients` fails, and so do they.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
HOME = Path(__file__).resolve().parents[2] / ".venv" / "clients"
AT_ONCE = 2
NAMES = sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if not path.stem.endswith(".wheels"))


class Unavailable(Exception):
    """The environment could not be made; the message says why, and what would make it."""


def directory(name: str) -> Path:
    """The environment of the client; its programs are in `bin`, wheels for its jobs in `wheels`. Raises Unavailable."""
    if _made(name) == _wanted(name):
        return HOME / name
    reason = _reason_file(name).read_text().strip() if _reason_file(name).exists() else "it has not been made"
    raise Unavailable(f"no environment for {name}: {reason}; `make clients` makes it where pip reaches an index")


def make(name: str) -> str:
    """Make the environment unless it is there; says what was done. Raises Unavailable."""
    if _made(name) == _wanted(name):
        return f"{name}: there"
    started = time.monotonic()
    home = HOME / name
    shutil.rmtree(home, ignore_errors=True)
    _reason_file(name).unlink(missing_ok=True)
    python = str(home / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet"]
    _run(name, sys.executable, "-m", "venv", "--without-pip", str(home))
    # The lists are whole, so there is nothing to resolve; `check` says if one is not.
    _run(name, *pip, "install", "--no-deps", "-r", str(REQUIREMENTS / f"{name}.txt"))
    _run(name, *pip, "check")
    if (wheels := _wheels_file(name)).exists():
        _run(name, *pip, "download", "--no-deps", "--dest", str(home / "wheels"), "-r", str(wheels))
    (home / ".made").write_text(_wanted(name))
    return f"{name}: made in {time.monotonic() - started:.0f} s"


def _wheels_file(name: str) -> Path:
    return REQUIREMENTS / f"{name}.wheels.txt"


def _reason_file(name: str) -> Path:
    return HOME / f"{name}.failed"


def _made(name: str) -> str:
    try:
        return (HOME / name / ".made").read_text()
    except OSError:
        return ""


def _wanted(name: str) -> str:
    """A hash of all that the environment is made from: its lists, this interpreter, where it lies, and this file."""
    wheels = _wheels_file(name)
    parts = [
        (REQUIREMENTS / f"{name}.txt").read_bytes(),
        wheels.read_bytes() if wheels.exists() else b"",
        f"{sys.version} {sys.prefix} {HOME}".encode(),
        Path(__file__).read_bytes(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _run(name: str, *command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")] or done.stdout.splitlines()
        reason = errors[-1] if errors else f"{command[0]} ended with {done.returncode}"
        HOME.mkdir(parents=True, exist_ok=True)
        _reason_file(name).write_text(reason)
        raise Unavailable(f"{name}: {reason}")


def main() -> int:
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for made in [pool.submit(make, name) for name in NAMES]:
            try:
                print(made.result(), flush=True)
            except Unavailable as error:
                failed += 1
                print(f"{error} (its tests are skipped)", file=sys.stderr)
    return 1 if failed and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
