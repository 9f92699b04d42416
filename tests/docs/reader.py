"""A reader who types what a page says into a real shell, beside a real server, and compares what comes back."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import SHOWN, TYPED, Block, Directive, Page
from tests.harness.site import PROCESSES, Site

PATIENCE_S, LONG_PATIENCE_S = 90.0, 400.0

# One bash for the whole page: each block is sourced, so that variables, functions and `cd` last as they do for a
# person. Descriptor 8 brings the number of the next block and whether it may fail, 9 takes the exit code back.
_DRIVER = r"""
while read -r number may_fail <&8; do
    if [ "$may_fail" = yes ]; then set +e; else set -e -o pipefail; fi
    . "$SCRIPTS/$number.sh" >"$SCRIPTS/$number.out" 2>&1 </dev/null 8<&- 9>&-
    echo $? >&9
done
"""


class Differs(AssertionError):
    """A page says something that is not so."""


class Reader:
    """Someone with an empty home, Batchyard and the aws CLI installed, who reads one page from top to bottom.

    `variables` is more of the reader's environment, `files` what lies in the directory (name -> path).
    """

    def __init__(self, page: Page, variables: Mapping[str, str] | None = None, files: Mapping[str, Path] | None = None):
        self.page = page
        self.variables = variables or {}
        self.patience_s = LONG_PATIENCE_S if page.is_long else PATIENCE_S
        self.home = Path(tempfile.mkdtemp(prefix="reader-")).resolve()  # short: sockets lie below it
        self.here = self.home / "here"
        self.scripts = Path(tempfile.mkdtemp(prefix="typed-")).resolve()
        self.here.mkdir()
        for name, path in {".venv": Path(sys.prefix), **(files or {})}.items():
            (self.here / name).parent.mkdir(parents=True, exist_ok=True)
            (self.here / name).symlink_to(path)
        self.site = Site(self.home / ".local/share/batchyard", "--vcpus", "4")
        self.site.data.parent.mkdir(parents=True)
        self.site.log = self.home / "serve.log"
        self.others: list[tuple[Block, subprocess.Popen, Path]] = []
        self.typed_more = 0

    def environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "TZ": "UTC",
            "COLUMNS": "120",
            "BATCHYARD_DATA": str(self.site.data),
            "BATCHYARD_PORT": "0",
            **PROCESSES,
            "SCRIPTS": str(self.scripts),
            **self.variables,
        }

    def read(self) -> None:
        """Type every block in order. Raises Differs, naming the line of the page."""
        with self:
            pass

    def __enter__(self) -> Reader:
        """Type the page, then stay: `type` goes on in the same shell, beside the same server."""
        try:
            if not self._page_starts_a_server():
                self.site.start()
            self._open_shell()
            for number, block in enumerate(self.page.blocks):
                self._obey(number, block)
            self._look_at_the_other_terminals()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._leave()

    def type(self, text: str, wanted: int = 0) -> str:
        """What `text` prints in the reader's shell, where its last command must end with `wanted`. Raises Differs.

        Unlike a page's block that fails, it leaves the shell as it was.
        """
        self.typed_more += 1
        number = len(self.page.blocks) + self.typed_more
        block = Block("after the page", self.typed_more, TYPED, text, Directive("fails with", str(wanted)))
        self._type(number, block, None)
        return self._said(number)

    def _page_starts_a_server(self) -> bool:
        return any(
            block.is_typed and re.search(r"^\s*batchyard serve\b", block.text, re.M) for block in self.page.blocks
        )

    def _obey(self, number: int, block: Block) -> None:
        shown = self._shown_after(number)
        if block.directive.kind in ("file", "same as"):
            name = Path(block.directive.value)
            path = self.here / (name.name if block.directive.kind == "same as" else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif not block.is_typed:
            return
        elif block.directive.kind == "another terminal":
            self._type_elsewhere(number, block, shown)
        else:
            self._type(number, block, shown)

    def _shown_after(self, number: int) -> Block | None:
        following = self.page.blocks[number + 1 : number + 2]
        return following[0] if following and following[0].language == SHOWN else None

    # -- the reader's own shell -----------------------------------------------------------------------------------

    def _open_shell(self) -> None:
        (orders, self._orders), (self._answers, answers) = pipe_beyond_9(), pipe_beyond_9()
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", f"exec 8<&{orders} 9>&{answers}; {_DRIVER}"],
            cwd=self.here,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.scripts / "shell").open("wb"),
            pass_fds=(orders, answers),
            start_new_session=True,
        )
        os.close(orders)
        os.close(answers)

    def _type(self, number: int, block: Block, shown: Block | None) -> None:
        may_fail = block.directive.kind == "fails with"
        wanted = int(block.directive.value) if may_fail else 0
        (self.scripts / f"{number}.sh").write_text(block.text)
        os.write(self._orders, f"{number} {'yes' if may_fail else 'no'}\n".encode())
        code = self._answered(block, number)
        said = self._said(number)
        if code != wanted:
            raise Differs(f"{block.where} ended with {code}, not {wanted}:\n{block.text}\nIt said:\n{said}")
        if shown is not None:
            compare(shown, self._in_words_of_the_page(said))

    def _answered(self, block: Block, number: int) -> int:
        """The block's exit code; that of the shell if it ended (`set -e`)."""
        if not select.select([self._answers], [], [], self.patience_s)[0]:
            raise Differs(f"{block.where} still runs after {self.patience_s:.0f} s; so far:\n{self._said(number)}")
        answer = os.read(self._answers, 100)
        return int(answer) if answer else self.shell.wait(10)

    def _said(self, number: int) -> str:
        path = self.scripts / f"{number}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- other terminals ------------------------------------------------------------------------------------------

    def _type_elsewhere(self, number: int, block: Block, shown: Block | None) -> None:
        script, out = self.scripts / f"{number}.sh", self.scripts / f"{number}.out"
        script.write_text(block.text)
        with out.open("wb") as target:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e", str(script)],
                cwd=self.here,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=target,
                start_new_session=True,
            )
        self.others.append((block, process, out))
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            said = self._in_words_of_the_page(self._said(number))
            if agrees(shown.text, said) if shown else said:
                return
            if process.poll() not in (None, 0):
                break
            time.sleep(0.05)
        if shown is not None:
            compare(shown, self._in_words_of_the_page(self._said(number)))
        if process.poll() is None:
            raise Differs(f"{block.where}: in its terminal nothing happened in {self.patience_s:.0f} s")

    def _look_at_the_other_terminals(self) -> None:
        """What runs to the end of the page may still run, or have ended well."""
        for block, process, out in self.others:
            try:
                code = process.wait(0.3)
            except subprocess.TimeoutExpired:
                continue
            if code != 0:
                raise Differs(f"{block.where}: in its terminal it ended with {code}:\n{out.read_text()}")

    def _leave(self) -> None:
        """End what the page has started, and nothing else."""
        if hasattr(self, "shell"):
            os.close(self._orders)
            os.close(self._answers)
            _end(self.shell, signal.SIGHUP)
        for _, process, _ in reversed(self.others):
            _end(process, signal.SIGINT)
        try:
            self.site.destroy()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            shutil.rmtree(self.scripts, ignore_errors=True)

    def _in_words_of_the_page(self, said: str) -> str:
        return said.replace(str(self.home), "~")


def pipe_beyond_9() -> list[int]:
    """A pipe whose descriptors are none of those that the driver gives a meaning."""
    ends = os.pipe()
    beyond = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return beyond


def _end(process: subprocess.Popen, how: signal.Signals) -> None:
    """Signal the process's whole session politely, then not."""
    for each in (how, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, each)
        except ProcessLookupError:
            pass
        try:
            process.wait(15)
            return
        except subprocess.TimeoutExpired:
            continue


# -- comparing -------------------------------------------------------------------------------------------------------

# What differs from run to run, and the word it becomes on both sides.
_VARYING = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\bi-[0-9a-f]{17}\b"), "INSTANCE"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HEX"),
    (re.compile(r"\b\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?"), "TIME"),
    (re.compile(r"\b\d?\d:\d\d(:\d\d(\.\d+)?)?\b"), "TIME"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+\b"), r"\1:PORT"),
    (re.compile(r"\b1\d{12}\b"), "MILLISECONDS"),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)? ?(ms|s|min|h|KiB|MiB|GiB|TiB|bytes|%)(?![\w])"), r"N \1"),
    (re.compile(r"[ \t]+"), " "),
)


def normalised(text: str) -> str:
    for form, word in _VARYING:
        text = form.sub(word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def agrees(shown: str, said: str) -> bool:
    """Whether `said` is what a page shows: `...` alone stands for any lines, within a line for anything."""
    pattern = ""
    for line in normalised(shown).splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, normalised(said) + "\n") is not None


def compare(shown: Block, said: str) -> None:
    """Raises Differs unless `said` is what the page shows."""
    if not agrees(shown.text, said):
        raise Differs(f"{shown.where} shows:\n{normalised(shown.text)}\n\nbut what came was:\n{normalised(said)}")
