"""Answers that are remembered: asked for once by those who come together, and forgotten when they are old."""

from __future__ import annotations

import threading

import pytest

from batchyard.grants import remembered
from batchyard.grants.remembered import Remembered
from batchyard.ports.grants import NotGranted


def test_who_comes_while_it_is_asked_for_waits_for_the_answer():
    known: Remembered[str, str] = Remembered()
    asking, told, asked = threading.Event(), threading.Event(), []

    def ask():
        asked.append(1)
        asking.set()
        assert told.wait(10)
        return "answer", 60.0

    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(known.get("k", ask))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert asking.wait(10)
    told.set()
    for thread in threads:
        thread.join(10)
    assert (got, asked) == (["answer"] * 5, [1])


def test_a_failure_is_everybodys_and_soon_forgotten():
    now = [0.0]
    known: Remembered[str, str] = Remembered(lambda: now[0])

    def fail():
        raise NotGranted("no")

    for _ in range(2):
        with pytest.raises(NotGranted, match="^no$"):
            known.get("k", fail)
    now[0] = remembered.FAILURE_S
    assert known.get("k", lambda: ("yes", 60.0)) == "yes"


def test_what_is_old_is_not_kept():
    now = [0.0]
    known: Remembered[str, str] = Remembered(lambda: now[0])
    known.get("a", lambda: ("secret", 5.0))
    now[0] = 5.0
    known.get("b", lambda: ("other", 5.0))
    assert list(known._known) == ["b"]


def test_there_are_never_too_many(monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 3)
    known: Remembered[int, int] = Remembered(lambda: 0.0)
    for number in range(10):
        known.get(number, lambda number=number: (number, 60.0))
    assert list(known._known) == [7, 8, 9]
