"""A stranger's first minutes: a clone of this repository, an empty home, and README's two commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read

# Quick, yet through every room: the words, the wire, the decisions, and real jobs of a real server by boto3.
SMOKE = "tests/test_tidy.py tests/wire tests/scheduler/test_stories.py tests/cli/test_main.py tests/live/test_boto3.py"
# How this machine reaches a package index is its own affair; nothing else of our environment is passed on.
PASSED_ON = ("PIP_", "SSL_CERT", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy")
# Where a program that does not keep to its clone and its home would leave something.
ELSEWHERE = ("/var/lib", "/etc", "/usr/local/bin", "/usr/local/lib", "/opt", "/srv", str(Path("~").expanduser()))

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    if not (ROOT / ".git").exists() or shutil.which("git") is None or shutil.which("make") is None:
        pytest.skip("needs a checkout, git and make: this is no clone")
    place = tmp_path_factory.mktemp("stranger").resolve()
    for name in ("home", "tmp"):
        (place / name).mkdir()
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(place / "clone")], check=True)
    before = names_elsewhere()
    yield Stranger(place)
    assert left_running(place) == [], "something of the clone still runs"
    assert names_elsewhere() - before == set(), "something was written outside of the clone and the home"


class Stranger:
    def __init__(self, place: Path):
        self.clone = place / "clone"
        passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        self.environ = passed | {
            "HOME": str(place / "home"),
            "TMPDIR": str(place / "tmp"),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def types(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.clone,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout


def names_elsewhere() -> set[str]:
    """What lies at places that are none of a clone's business."""
    return {str(path) for place in ELSEWHERE if os.path.isdir(place) for path in Path(place).iterdir()}


def left_running(place: Path) -> list[str]:
    """Processes that run from, in, or with files of `place`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            paths = [os.readlink(entry / "cwd"), os.readlink(entry / "exe")]
            paths += [os.readlink(each) for each in (entry / "fd").iterdir()]
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if str(place) in title or any(path.startswith(str(place)) for path in paths):
            found.append(f"{entry.name} {title}")
    return found


def test_the_readme_s_first_block_is_these_two_commands():
    first = read(ROOT / "README.md").blocks[0].text
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_make_demo_in_a_clean_clone(stranger):
    said = stranger.types("make demo")
    assert "Traceback" not in said
    picture = re.search(r"^The picture: (.+)$", said, re.M)
    assert picture and (stranger.clone / picture[1]).stat().st_size > 10_000, said[-3000:]
    assert left_running(stranger.clone) == []


def test_make_test_in_a_clean_clone(stranger):
    said = stranger.types(f"make test ARGS='{SMOKE}'")
    assert " passed" in said


def test_the_clone_is_left_as_git_knows_it(stranger):
    status = subprocess.run(["git", "status", "--porcelain"], cwd=stranger.clone, capture_output=True, text=True)
    assert status.stdout == "", "the two commands left files that .gitignore does not name"
