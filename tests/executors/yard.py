"""A data directory with a real runner, spoken to by a real executor, in the words of someone who runs jobs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from batchyard.config import Settings, load
from batchyard.executors.process import ProcessExecutor
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import AttemptSpec
from batchyard.model.needs import Needs
from batchyard.observe.joblogs import FileLogs
from batchyard.ports import Began, Ended, Lost, News, Survey

PATIENCE_S = 30.0
SOURCES = os.pathsep.join(path for path in sys.path if path)  # where the runner, too, finds what it imports


class Yard:
    def __init__(self, data: Path, flags: tuple[str, ...] = (), **settings):
        self.data = data
        self.flags = flags  # of the runner
        self.settings: Settings = load({"data": str(data), "stop_grace_s": 1, "executor": "process", **settings}, {})
        self.executor = ProcessExecutor(self.settings)
        self.logs = FileLogs(data)
        self.news: list[News] = []
        self.specs: dict[str, AttemptSpec] = {}
        self._runners: list[subprocess.Popen] = []
        self._numbers = 0
        for name in ("logs", "work", "runner", "runner/slots", "runner/exits"):
            (data / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- the runner -----------------------------------------------------------------------------------------------

    def start_runner(self) -> subprocess.Popen:
        runner = subprocess.Popen(
            [sys.executable, "-P", "-m", "batchyard.executors.runner", "--data", str(self.data), *self.flags],
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": SOURCES, "RUNNER_SECRET": "not for jobs"},
            start_new_session=True,
            cwd="/",
        )
        self._runners.append(runner)
        return runner

    def connect(self) -> Survey:
        """Wait for the survey that follows a connection."""
        return self.wait_for(lambda news: isinstance(news, Survey), "a survey")

    def kill_runner(self) -> None:
        """SIGKILL; afterwards nothing of this runner is left but its slots."""
        self._runners[-1].kill()
        self._runners[-1].wait()

    def restart_runner(self) -> Survey:
        """Kill it, start another one, and wait for what that one says."""
        self.kill_runner()
        while self.executor.fileno() >= 0:
            self.news += self.executor.observe()
        self.news.clear()
        self.start_runner()
        return self.connect()

    def close(self) -> None:
        """Make it leave; fails if anything of it lives on."""
        for runner in self._runners[:-1]:
            runner.wait(PATIENCE_S)
        if self._runners and self._runners[-1].poll() is None:
            self.executor.quit()
            self._runners[-1].wait(PATIENCE_S)
        left = self.slots()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"slots {left} outlived a runner that was told to quit"

    def slots(self) -> list[int]:
        """Our slots: their titles end with the data directory."""
        return [pid for pid in _pids() if _title(pid).rstrip(" \0") == f"batchyard slot {self.data}"]

    # -- jobs -----------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def spec(self, *command: str, **more) -> AttemptSpec:
        """A fresh attempt that runs `command`; `more` are members of AttemptSpec or of the container."""
        self._numbers += 1
        uuid = f"00000000-0000-4000-8000-{self._numbers:012x}"
        container = {"command": list(command)}
        container |= {name: more.pop(name) for name in list(more) if name not in AttemptSpec._fields}
        values = {
            "attempt": f"{uuid}.1",
            "job_id": uuid,
            "job_name": "job",
            "index": WHOLE,
            "size": 0,
            "number": 1,
            "region": "eu-west-1",
            "queue_name": "the-queue",
            "environment_name": "the-environment",
            "definition_name": "the-definition",
            "needs": Needs(1000, 512),
            "timeout_s": None,
            "opened_ms": self.now_ms(),
            "container": container,
        }
        return AttemptSpec(**(values | more))

    def start(self, spec: AttemptSpec) -> str:
        self.specs[spec.attempt] = spec
        self.executor.start(spec)
        self.executor.flush()
        return spec.attempt

    def sh(self, script: str, **more) -> str:
        return self.start(self.spec("sh", "-c", script, **more))

    def run(self, script: str, **more) -> Ended:
        return self.ended(self.sh(script, **more))

    def stop(self, attempt: str, grace_ms: int | None = None) -> None:
        self.executor.stop(attempt, grace_ms)
        self.executor.flush()

    def release(self, attempt: str) -> None:
        self.executor.release(attempt)
        self.executor.flush()

    def began(self, attempt: str) -> Began:
        return self.wait_for(lambda news: isinstance(news, Began) and news.attempt == attempt, f"{attempt} begins")

    def ended(self, attempt: str) -> Ended:
        return self.wait_for(lambda news: isinstance(news, Ended | Lost) and news.attempt == attempt, f"{attempt} ends")

    def wait_for(self, fits, what: str):
        """The first news that fits; those before it stay in `news`."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for news in self.news:
                if fits(news):
                    self.news.remove(news)
                    return news
            assert time.monotonic() < deadline, f"waited in vain until {what}; heard {self.news}"
            self.pause()
            self.news += self.executor.observe()

    def pause(self) -> None:
        """Until there may be news."""
        if self.executor.fileno() >= 0:
            select.select([self.executor.fileno()], [], [], 0.1)
        else:
            time.sleep(0.02)

    def until(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.01)

    def output(self, attempt: str) -> str:
        return "".join(f"{event.message}\n" for event in self.events(attempt))

    def events(self, attempt: str, closed: bool = True) -> list:
        opened_ms = self.specs[attempt].opened_ms
        found, offset = [], 0
        while page := self.logs.read_forward(attempt, opened_ms, offset, 10_000, 1 << 20, closed):
            found, offset = found + page, page[-1].end
        return found

    def log_bytes(self, attempt: str) -> bytes:
        (path,) = (self.data / "logs").glob(f"*/{attempt}.log")
        return path.read_bytes()

    def work(self, attempt: str) -> Path:
        return self.data / "work" / attempt


def with_environment(mark: str) -> list[int]:
    """Processes anywhere on the machine whose environment holds `mark`."""
    found = []
    for pid in _pids():
        try:
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
