"""Restart before every turn: a scheduler rebuilt in another process from the files alone decides the same.

The parent runs a storm and, before each turn of the engine, hands its clock and events to a child that was started
under another hash seed. The child copies the two files as a crash would have left them, migrates and loads them as
every start does, restores a scheduler, takes the turn, and answers with its decision. ``python -m tests.storm.replay
17`` repeats a run, ``17:27 100`` makes ten of 100 turns.
"""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from batchyard.engine.recovery import recover
from batchyard.scheduler import invariants
from batchyard.store import sqlite
from batchyard.store.commits import SqliteCommits
from tests.storm.storm import Storm

ROOT = Path(__file__).resolve().parents[2]
TURNS = 100
LENGTH = struct.Struct(">I")


class Different(AssertionError):
    """A rebuilt scheduler decided otherwise."""


class Enough(Exception):
    """As many turns were replayed as were wanted."""


# -- the child ---------------------------------------------------------------------------------------------------------


def decide(data: Path, now_ms: int, events: list) -> str:
    """The decision, in words, of a scheduler rebuilt from a copy of the files in `data`."""
    copy = Path(tempfile.mkdtemp(prefix="replay-", dir=data.parent))
    try:
        for path in data.glob("*.db*"):
            if not path.name.endswith("-shm"):  # what a crash leaves of the shared memory counts for nothing
                shutil.copy(path, copy)
        sqlite.migrate(copy)
        commits = SqliteCommits(copy)
        try:
            scheduler, _ = recover(commits.load())
        finally:
            commits.close()
        invariants.check(scheduler.state)
        decision = scheduler.turn(now_ms, events)
        invariants.check(scheduler.state)
        return repr(decision)
    finally:
        shutil.rmtree(copy)


def child() -> None:
    while (asked := _read(sys.stdin.buffer)) is not None:
        try:
            answer = decide(*asked)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        _write(sys.stdout.buffer, answer)


def _write(stream: BinaryIO, value: Any) -> None:
    body = pickle.dumps(value)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def _read(stream: BinaryIO) -> Any:
    head = stream.read(LENGTH.size)
    return pickle.loads(stream.read(*LENGTH.unpack(head))) if len(head) == LENGTH.size else None


# -- the parent --------------------------------------------------------------------------------------------------------


class Replayed(Storm):
    """A storm in which every turn is decided a second time, by the child."""

    def __init__(self, seed: int, turns: int):
        self.wanted = turns
        self.replayed = 0
        self.hash_seed = 1 + seed % 4_294_967_294
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.storm.replay", "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": str(self.hash_seed)},
            cwd=ROOT,
        )
        super().__init__(seed)
        self.jobs_wanted = turns  # more than so many turns will need

    def replay(self) -> Replayed:
        """Run until enough turns are replayed; a storm that is over sooner was replayed whole."""
        try:
            self.run()
        except Enough:
            pass
        return self

    def _open_engine(self) -> None:
        super()._open_engine()
        scheduler = self.engine.scheduler
        turn = scheduler.turn

        def both(now_ms: int, events: list) -> Any:
            if self.replayed >= self.wanted:
                raise Enough
            _write(self.child.stdin, (self.data, now_ms, events))
            again = _read(self.child.stdout)
            decision = turn(now_ms, events)
            self._compare(repr(decision), again)
            self.replayed += 1
            return decision

        scheduler.turn = both

    def _compare(self, decided: str, again: str | None) -> None:
        if decided == again:
            return
        place = next((i for i, (a, b) in enumerate(zip(decided, again or "", strict=False)) if a != b), 0)
        shown = slice(max(0, place - 200), place + 200)
        raise Different(
            f"turn {self.replayed} was decided otherwise by a scheduler rebuilt under PYTHONHASHSEED={self.hash_seed}\n"
            f"first:   {decided[shown]}\nrebuilt: {again and again[shown]}\n"
            f"repeat with: python -m tests.storm.replay {self.seed} {self.wanted}"
        )

    def _close(self) -> None:
        super()._close()
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def main(seeds: str, turns: int = TURNS) -> None:
    first, _, end = seeds.partition(":")
    for seed in range(int(first), int(end) if end else int(first) + 1):
        run = Replayed(seed, turns).replay()
        print(f"{run.knobs}: {run.replayed} turns decided alike, {run.crashes} crashes", flush=True)


if __name__ == "__main__":
    child() if sys.argv[1:] == ["--child"] else main(sys.argv[1], *map(int, sys.argv[2:]))
