"""Types commands at a server, and writes down what came: the transcripts beside this file.

What differs from one run to the next (ids, times, places, what was used) is replaced by something as wide that does
not, so that tables keep their look.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from batchyard.doctor import about
from tests.cli.conftest import LiveServer

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "2026-01-02 03:04:05"),
    (re.compile(r"/logs/\d{4}-\d\d-\d\d/"), "/logs/2026-01-02/"),
    (re.compile(r"\btook \d+(\.\d+)?s(, \d+\.\d+s CPU)?(, \d+ MiB at most)?"), "took 0.1s, 0.01s CPU, 5 MiB at most"),
    (re.compile(r"\b\d\.\ds\b|(?<= )\d\ds (?= )"), "0.1s"),
    (re.compile(r"\bi-[0-9a-f]{17}\b"), "i-0123456789abcdef0"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "0123456789abcdef" * 2),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:22824"),
    (re.compile(r"\b1[0-9]{12}\b"), "1767323045000"),
    (re.compile(r"schema version \d+"), "schema version 9"),
    (re.compile(r"\b\d+\.\d MiB"), "0.1 MiB"),
    (re.compile(r"\(process \d+\)"), "(process 4711)"),
    (re.compile(r"(ACCESS_KEY(?:_ID)?=)\S+"), r"\1..."),
)
# What comes only when the machine is slow, or weak, or how often somebody looked.
_PASSING = re.compile(rf"2> batchyard: job \S+ waits\. .*|2> \S+: (\d+) of (?!\1 )\d+ done.*|notice +{about.HERE}.*")


class Typist:
    """One transcript: call it with the words of a command."""

    def __init__(self, live: LiveServer):
        self.live = live
        self._said: list[str] = []

    def __call__(self, *words: str) -> str:
        """Type ``batchyard WORDS``; returns its standard output as it was."""
        done = self.live.type(*words)
        lines = [f"$ batchyard {shlex.join(words)}", *done.stdout.splitlines()]
        lines += [f"2> {line}" for line in done.stderr.splitlines()]
        lines += [f"exit {done.returncode}"] if done.returncode else []
        self._said += [*lines, ""]
        return done.stdout

    def started(self, *words: str) -> str:
        """Type ``batchyard run --detach WORDS``; returns the job's id."""
        return self("run", "--detach", *words).strip()

    def text(self) -> str:
        """The transcript."""
        text = "\n".join(self._said).replace(str(self.live.site.data), "/data")
        text = text.replace(str(self.live.directory), "/here")
        for number, uuid in enumerate(dict.fromkeys(_UUID.findall(text)), start=1):
            text = text.replace(uuid, f"{number:08}-0000-4000-8000-000000000000")
        for form, instead in _VARYING:
            text = form.sub(instead, text)
        return "\n".join(line for line in text.splitlines() if not _PASSING.fullmatch(line)) + "\n"


def recorded(name: str) -> Path:
    """Where the transcript of that name is kept."""
    return Path(__file__).with_name(f"{name}.txt")
