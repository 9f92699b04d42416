"""An engine whose processes are not this machine's (it runs in a virtual machine, say): it is asked instead."""

from __future__ import annotations

import json
import os
import select
import time

import pytest

from batchyard.executors.runner.containers import trial
from batchyard.executors.runner.containers.task import Hall, Task

PATIENCE_S = 30.0


@pytest.fixture
def hall(container_engine, tmp_path):
    for name in ("runner/exits", "runner/orders", "runner/pulls", "logs", "work", "volumes"):
        (tmp_path / name).mkdir(parents=True)
    about = trial.passed(str(container_engine.socket), str(tmp_path))._replace(local=False)
    opened = [os.open(tmp_path / name, os.O_RDONLY) for name in ("runner/exits", "logs", "runner/orders")]
    hall = Hall(str(tmp_path), *opened, about)
    yield hall
    hall.close()


def order(image: str, script: str, **more) -> dict:
    container = {"name": "default", "image": image, "command": ["sh", "-c", script], "env": {}, "user": None}
    container |= {"cpu_milli": 1000, "cpu_hard": False, "memory_mib": 64, "devices": [], "essential": True}
    container |= {"depends_on": [], "start_timeout_s": None, "stop_timeout_s": None, "read_only": False}
    container |= {"privileged": False, "ulimits": [], "init": False, "shm_mib": None, "tmpfs": [], "log": None}
    container |= {"max_swap_mib": None, "swappiness": None, "linux_devices": [], "mounts": [], "zip": None}
    asked = {"op": "start", "attempt": "a.1", "how": "container", "day": "2026-11-28", "timeout_s": None}
    asked |= {"grace_s": 1, "log_bytes": 1 << 20, "network": "none", "ipc": None, "pid": None, "ask": None}
    return asked | {"containers": [container]} | more


def until(task: Task, condition) -> None:
    """Be the slot's loop."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        ready = select.select(task.sources(), [], [], task.patience_ms() / 1000)[0]
        task.attend(set(ready))


def ended(task: Task) -> dict:
    until(task, lambda: task.over)
    record = task.finish()
    task.recorded()
    return json.loads(record)


def test_its_end_and_its_output_are_asked_for(hall, container_engine, tmp_path):
    task = Task(order(container_engine.image("busybox"), "echo hello; sleep 1; exit 3"), hall)
    task.start()
    assert ended(task)["exit_code"] == 3
    assert (tmp_path / "logs/2026-11-28/a.1.log").read_bytes() == b"hello\n"


def test_it_is_stopped_by_the_engine(hall, container_engine):
    script = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
    task = Task(order(container_engine.image("busybox"), script), hall)
    task.start()
    until(task, lambda: task.started_ms is not None)
    time.sleep(0.3)  # so that the trap is set
    task.stop()
    assert ended(task)["exit_code"] == 7


def test_it_is_killed_by_the_engine(hall, container_engine):
    task = Task(order(container_engine.image("busybox"), "trap '' TERM; while :; do sleep 0.05; done"), hall)
    task.start()
    until(task, lambda: task.started_ms is not None)
    task.stop()
    assert ended(task)["exit_code"] == 137


def test_a_timeout_holds(hall, container_engine):
    task = Task(order(container_engine.image("busybox"), "exec sleep 60", timeout_s=1), hall)
    task.start()
    record = ended(task)
    assert record["timed_out"] and record["exit_code"] == 137
