"""Tasks of several containers, on each engine."""

from __future__ import annotations

import os
import signal

import pytest


def task(dock, *containers: dict, **more) -> str:
    """Start a task; each container is {name, sh: a script, ...}, of one vCPU and 64 MiB."""
    asked = []
    for each in containers:
        script = each.pop("sh")
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        asked.append({"image": dock.image, "command": ["sh", "-c", script], "resourceRequirements": needs, **each})
    own = {name: more.pop(name) for name in ("ipcMode", "pidMode", "networkMode", "volumes") if name in more}
    return dock.start(dock.spec(task={"containers": asked, **own}, container={}, **more))


def after(name: str, condition: str) -> dict:
    return {"dependsOn": [{"containerName": name, "condition": condition}]}


def endings(ended) -> dict:
    return {each.name: (each.exit_code, each.reason) for each in ended.ending.containers}


def test_all_run_and_each_has_its_own_log(dock):
    attempt = task(dock, {"name": "one", "sh": "echo first; sleep 0.5"}, {"name": "two", "sh": "echo second; sleep 60"})
    ended = dock.ended(attempt)
    assert endings(ended)["one"] == (0, None)
    assert dock.log_bytes(f"{attempt}~one") == b"first\n"
    assert dock.log_bytes(f"{attempt}~two") == b"second\n"


def test_a_container_waits_for_the_success_of_another(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "echo main; exit 3", **after("init", "SUCCESS")},
        {"name": "init", "sh": "sleep 0.5; echo init", "essential": False},
    )
    ended = dock.ended(attempt)
    assert ended.ending.exit_code == 3
    assert endings(ended) == {"main": (3, None), "init": (0, None)}
    assert ended.ending.stopped_ms - ended.ending.started_ms < 500  # it ran from when the main container did


def test_what_waits_for_a_success_that_does_not_come_does_not_start(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "echo main", **after("init", "SUCCESS")},
        {"name": "init", "sh": "exit 9", "essential": False},
    )
    ended = dock.ended(attempt)
    why = "CannotStartContainerError: it depends on container init (SUCCESS), which ended with exit code 9"
    assert (ended.ending.status_reason, ended.ending.reason) == ("Task failed to start", why)
    assert ended.ending.started_ms is None
    assert endings(ended) == {"main": (None, why), "init": (9, None)}


def test_complete_takes_any_ending(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "exit 0", **after("init", "COMPLETE")},
        {"name": "init", "sh": "exit 9", "essential": False},
    )
    assert dock.ended(attempt).ending.exit_code == 0


def test_the_end_of_an_essential_container_stops_the_others_in_reverse_order(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "sleep 0.5; exit 4", **after("middle", "START")},
        {
            "name": "middle",
            "sh": "trap 'sleep 0.5; cat /proc/uptime; exit 0' TERM; while :; do sleep 0.05; done",
            "essential": False,
            **after("helper", "START"),
        },
        {
            "name": "helper",
            "sh": "trap 'cat /proc/uptime; exit 0' TERM; while :; do sleep 0.05; done",
            "essential": False,
        },
    )
    ended = dock.ended(attempt)
    assert ended.ending.exit_code == 4
    assert endings(ended) == {"main": (4, None), "middle": (0, None), "helper": (0, None)}
    middle, helper = (float(dock.log_bytes(f"{attempt}~{name}").split()[0]) for name in ("middle", "helper"))
    assert middle < helper


def test_a_container_may_have_a_grace_time_of_its_own(make_dock):
    dock = make_dock(stop_grace_s=600)
    attempt = task(
        dock,
        {"name": "main", "sh": "sleep 0.3"},
        {"name": "deaf", "sh": "trap '' TERM; while :; do sleep 0.05; done", "essential": False, "stopTimeout": 1},
    )
    assert endings(dock.ended(attempt))["deaf"] == (137, None)


def test_a_stop_is_for_all_of_them(dock):
    attempt = task(dock, {"name": "one", "sh": "sleep 60"}, {"name": "two", "sh": "sleep 60"})
    dock.began(attempt)
    dock.stop(attempt)
    assert set(endings(dock.ended(attempt)).values()) == {(137, None)}


def test_one_that_runs_out_of_memory_is_named(dock):
    big = {"name": "big", "sh": "exec dd if=/dev/zero of=/dev/null bs=200M"}
    attempt = task(dock, big, {"name": "other", "sh": "sleep 60"})
    ended = dock.ended(attempt)
    assert endings(ended)["big"] == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert ended.ending.reason == "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize("network", ["host", "none"])
def test_containers_of_a_task_find_each_other_at_127_0_0_1(dock, network):
    attempt = task(
        dock,
        {
            "name": "main",
            "sh": "for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 23571 2>/dev/null && exit 0; sleep 0.3; done; exit 1",
        },
        {"name": "web", "sh": "while :; do echo hello | nc -l -p 23571; done", "essential": False},
        networkMode=network,
    )
    ended = dock.ended(attempt)
    assert (ended.ending.exit_code, dock.log_bytes(f"{attempt}~main")) == (0, b"hello\n")


def test_they_may_share_processes_and_memory(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "sleep 0.5; cat /dev/shm/note; ps; exit 0", **after("other", "START")},
        {"name": "other", "sh": "echo shared >/dev/shm/note; exec sleep 54", "essential": False},
        ipcMode="task",
        pidMode="task",
    )
    ended = dock.ended(attempt)
    said = dock.log_bytes(f"{attempt}~main")
    assert ended.ending.exit_code == 0 and said.startswith(b"shared\n") and b"sleep 54" in said


def test_they_may_share_a_volume_that_goes_with_them(dock):
    mount = {"mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}]}
    attempt = task(
        dock,
        {"name": "main", "sh": "cat /scratch/note", **mount, **after("init", "SUCCESS")},
        {"name": "init", "sh": "echo noted >/scratch/note", "essential": False, **mount},
        volumes=[{"name": "scratch"}],
    )
    assert dock.ended(attempt).ending.exit_code == 0
    assert dock.log_bytes(f"{attempt}~main") == b"noted\n"
    dock.has_none_left()
    with dock.engine.client() as client:
        dock.until(lambda: not client.volumes.list(), "no volume is left")


def test_a_task_outlives_its_slot(dock):
    attempt = task(
        dock,
        {"name": "main", "sh": "echo main; sleep 0.3; exit 2", **after("init", "SUCCESS")},
        {"name": "init", "sh": "sleep 1.5; echo init", "essential": False},
        {"name": "helper", "sh": "echo helper; sleep 60", "essential": False},
    )
    dock.until(lambda: len([it for it in dock.containers() if it["State"] == "running"]) == 2, "two run")
    (slot,) = dock.slots()
    os.kill(slot, signal.SIGKILL)
    ended = dock.ended(attempt)
    assert endings(ended)["main"] == (2, None) and endings(ended)["init"] == (0, None)
    assert [dock.log_bytes(f"{attempt}~{name}") for name in ("main", "init", "helper")] == [
        b"main\n",
        b"init\n",
        b"helper\n",
    ]
