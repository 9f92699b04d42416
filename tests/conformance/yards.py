"""Yards in which `pretend` commands run: for real, and under a clock of the test's own."""

from __future__ import annotations

import sys
from pathlib import Path

from batchyard.executors.pretend import PretendExecutor
from batchyard.model.jobs import AttemptSpec
from batchyard.ports import Survey
from tests.engines.private import PrivateEngine
from tests.executors.yard import Yard, with_environment

NOON_MS = 1_790_000_000_000


class RealYard(Yard):
    """A real runner, which finds a program `pretend` where its jobs run."""

    def pretend(self, *words: str, **more) -> str:
        return self.start(self.spec("pretend", *words, **more))

    def restart(self) -> Survey:
        return self.restart_runner()

    def has_record(self, attempt: str) -> bool:
        return (self.data / "runner" / "exits" / attempt).exists()

    def survivors(self, attempt: str) -> list[int]:
        """Processes of the attempt that live, wherever."""
        return with_environment(f"AWS_BATCH_JOB_ID={self.specs[attempt].job_id}")


class ProcessYard(RealYard):
    """The program is on the PATH of jobs."""

    def __init__(self, data: Path, programs: Path):
        program = programs / "pretend"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m batchyard.executors.pretend_program "$@"\n')
        program.chmod(0o755)
        super().__init__(data, process_path=f"{programs}:/usr/bin:/bin")
        self.start_runner()
        self.connect()


class ContainerYard(RealYard):
    """The program is in the image."""

    def __init__(self, data: Path, engine: PrivateEngine, **settings):
        flags = ("--executor", "container", "--engine-socket", str(engine.socket))
        super().__init__(data, flags, executor="container", engine_socket=str(engine.socket), **settings)
        self.engine = engine
        self.image = engine.image("python")
        self.start_runner()
        self.connect()

    def spec(self, *command: str, **more) -> AttemptSpec:
        """`more` may have any member of containerProperties besides those of the attempt."""
        properties = {name: more.pop(name) for name in list(more) if name not in AttemptSpec._fields}
        spec = super().spec(*command, **more)
        return spec._replace(container={"image": self.image} | spec.container | properties)

    def containers(self) -> list[str]:
        """What this yard has at its engine, by label."""
        return self.engine.containers()


class VirtualClock:
    def __init__(self, now_ms: int = NOON_MS):
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


class PretendYard(Yard):
    """The pretend executor; time passes only while somebody waits, and then at once."""

    STEP_MS = 10

    def __init__(self, data: Path):
        super().__init__(data)
        self.clock = VirtualClock()
        self.executor = PretendExecutor(data, self.clock, self.settings.stop_grace_s)
        self.connect()

    def now_ms(self) -> int:
        return self.clock.ms

    def pause(self) -> None:
        self.clock.ms += self.STEP_MS

    def pretend(self, *words: str, **more) -> str:
        return self.start(self.spec("pretend", *words, **more))

    def restart(self) -> Survey:
        """Another executor over the same files."""
        self.executor.close()
        self.news.clear()
        self.executor = PretendExecutor(self.data, self.clock, self.settings.stop_grace_s)
        self.news += self.executor.observe()
        return self.connect()

    def has_record(self, attempt: str) -> bool:
        return (self.data / "pretend" / attempt).exists()

    def survivors(self, attempt: str) -> list[int]:
        return []

    def close(self) -> None:
        self.executor.close()
