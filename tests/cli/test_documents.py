"""What README.md and docs/start.md tell people to type is typed here, against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def commands(document: str, heading: str) -> str:
    """The indented blocks below a heading, as one script."""
    text = (ROOT / document).read_text()
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))


def typed(live, script: str) -> str:
    environ = live.environ | {"PATH": f"{Path(sys.executable).parent}:{live.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=live.directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_readme_s_aws_commands(live):
    said = typed(live, commands("README.md", "Point your client at it"))
    assert re.search(r"^SUCCEEDED\nhello from [0-9a-f-]{36}$", said, re.M), said


@pytest.mark.skipif(not Path("/usr/share/common-licenses").is_dir(), reason="needs Debian's package base-files")
def test_the_array_of_ten_minutes(live):
    first = commands("docs/start.md", "3. An array job (three minutes)")
    then = commands("docs/start.md", "4. The same with AWS's own clients (five minutes)")
    texts = "cat /usr/share/common-licenses/* | wc -l"
    lines = str(int(subprocess.run(["sh", "-c", texts], capture_output=True, text=True, check=True).stdout))
    assert typed(live, first).splitlines()[-1] == lines
    (live.directory / "part.3").write_text("0\n")  # the second array must write it anew
    assert typed(live, then).splitlines()[-1] == lines
