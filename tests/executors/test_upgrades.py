"""A server meets a runner that an older one, or one with other settings, has started."""

from __future__ import annotations

import json
import os
import socket

import pytest

from batchyard.executors.process import RunnerMismatch
from batchyard.executors.runner.choice import Choice
from batchyard.executors.runner.wire import SOCKET, VERSION, Lines, listen
from batchyard.ports import Survey
from tests.executors.yard import Yard


class Old:
    """A runner in its end of the conversation alone."""

    def __init__(self, yard: Yard, version: int):
        self._version = version
        self._listener = listen(os.open(yard.data / "runner", os.O_RDONLY), SOCKET, 1)

    def meet(self, yard: Yard, living: list[str]) -> None:
        """Have the server connect, and tell it what lives."""
        yard.executor.observe()
        self._lines = Lines(self._listener.accept()[0])
        hello = {"op": "hello", "version": self._version, "isolation": "session", "weaker": [], "memory_groups": True}
        for told in (hello, {"op": "survey", "living": living}):
            self._lines.send(json.dumps(told).encode())
        self._lines.flush()

    def heard(self) -> list[dict]:
        return [json.loads(line) for line in self._lines.receive()]


@pytest.fixture
def yard(tmp_path) -> Yard:
    return Yard(tmp_path, executor="auto")


def test_a_runner_of_the_version_before_goes_on_while_its_jobs_run(yard):
    old = Old(yard, VERSION - 1)
    old.meet(yard, ["a.1"])
    assert yard.executor.observe() == [Survey(frozenset(["a.1"]))]
    yard.start(yard.spec("true", image="busybox"))
    assert [(told["op"], told.get("how")) for told in old.heard()] == [("inventory", None), ("start", "process")]


def test_once_they_are_over_it_makes_way_for_a_new_one(yard):
    old = Old(yard, VERSION - 1)
    old.meet(yard, [])
    assert yard.executor.observe() == []
    yard.start(yard.spec("true"))  # comes too early, and again after the next survey
    assert [told["op"] for told in old.heard()] == ["inventory", "quit"]


def test_an_older_one_is_not_understood(yard):
    old = Old(yard, VERSION - 2)
    old.meet(yard, [])
    with pytest.raises(RunnerMismatch, match="speaks protocol 1, this server 3"):
        yard.executor.observe()


def test_a_runner_that_tries_no_engine_makes_way_where_one_is_wanted(yard):
    runner = yard.start_runner()
    yard.until(lambda: yard.executor.observe() or runner.poll() is not None, "it has left")
    yard.flags = ("--executor", "auto")
    yard.start_runner()
    try:
        yard.connect()
    finally:
        yard.close()


def test_an_engine_that_is_started_later_is_found(tmp_path):
    path = tmp_path / "engine.sock"
    choice = Choice("auto", [str(path)], str(tmp_path))
    assert not choice.try_now() and choice.failure == f"{path}: there is no such socket"
    assert not choice.try_again(), "not at once"
    choice._tried_s -= 3600
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not choice.try_again()
    assert choice.failure.startswith(f"{path}: ") and "no such socket" not in choice.failure
