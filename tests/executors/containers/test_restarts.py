"""Who dies, and what becomes of containers: nothing. A kill at any moment costs a user neither job nor output."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from batchyard.executors.runner.containers import labels
from batchyard.ports import Lost

TALKS = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.25; done; exit 5"
SAID = "".join(f"{number}\n" for number in range(1, 9))


def kill_slot(dock) -> None:
    (slot,) = dock.slots()
    os.kill(slot, signal.SIGKILL)
    dock.until(lambda: slot not in dock.slots(), "the slot is dead")


def kill_all_of_ours(dock) -> None:
    """Runner and slots, and no news is left of them."""
    dock.kill_runner()
    for slot in dock.slots():
        os.kill(slot, signal.SIGKILL)
    dock.until(lambda: not dock.slots(), "no slot lives")
    while dock.executor.fileno() >= 0:
        dock.news += dock.executor.observe()
    dock.news.clear()


def holds(dock, attempt: str) -> bytes:
    path = next(iter((dock.data / "logs").glob(f"*/{attempt}.log")), None)
    return path.read_bytes() if path else b""


def test_a_new_runner_goes_on_with_what_runs(dock):
    attempt = dock.sh(TALKS)
    dock.began(attempt)
    assert attempt in dock.restart_runner().living
    assert dock.ended(attempt).ending.exit_code == 5
    assert dock.output(attempt) == SAID


def test_a_slot_answers_a_new_runner_while_an_image_is_pulled(dock):
    with socket.socket() as registry:
        registry.bind(("127.0.0.1", 0))
        registry.listen()
        attempt = dock.sh("true", image=f"127.0.0.1:{registry.getsockname()[1]}/never:1")
        dock.until(lambda: (dock.data / "runner/orders" / attempt).exists(), "the attempt is claimed")
        assert attempt in dock.restart_runner().living
        dock.stop(attempt)
        dock.ended(attempt)


def test_a_container_outlives_its_slot(dock):
    attempt = dock.sh(TALKS)
    dock.until(lambda: holds(dock, attempt).startswith(b"1\n2\n"), "the job has spoken")
    kill_slot(dock)
    ended = dock.ended(attempt)
    assert ended.ending.exit_code == 5 and ended.ending.stopped_ms - ended.ending.started_ms >= 1500
    assert dock.output(attempt) == SAID


def test_a_container_that_ends_while_nobody_looks_is_told_of_as_it_was(dock):
    attempt = dock.sh("sleep 0.5; echo done; exit 9")
    dock.began(attempt)
    kill_all_of_ours(dock)
    dock.until(lambda: not [it for it in dock.containers() if it["State"] == "running"], "the container has ended")
    dock.start_runner()
    dock.connect()
    ended = dock.ended(attempt)
    assert ended.ending.exit_code == 9
    assert ended.ending.stopped_ms - ended.ending.started_ms < 2000
    assert dock.output(attempt) == "done\n"


def test_an_order_to_stop_outlives_the_slot_that_had_it(make_dock):
    dock = make_dock(stop_grace_s=3)
    attempt = dock.sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    dock.until(lambda: holds(dock, attempt) == b"ready\n", "the job is ready")
    dock.stop(attempt)
    kill_slot(dock)
    assert dock.ended(attempt).ending.exit_code == 137


def test_a_timeout_counts_from_the_start_whoever_watches(dock):
    spec = dock.spec("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done", timeout_s=3)
    attempt = dock.start(spec)
    dock.began(attempt)
    kill_slot(dock)
    ending = dock.ended(attempt).ending
    assert ending.timed_out and ending.stopped_ms - ending.started_ms >= 3000


@pytest.mark.parametrize("meanwhile", ["it runs on", "it ends"])
def test_the_engines_own_service_may_die(dock, meanwhile):
    attempt = dock.sh(TALKS if meanwhile == "it runs on" else "sleep 1; echo 1; exit 5")
    dock.began(attempt)
    dock.engine.kill()
    if meanwhile == "it ends":
        time.sleep(2)
    dock.engine.start()
    assert dock.ended(attempt).ending.exit_code == 5
    if meanwhile == "it runs on" or dock.engine.name == "podman":
        assert dock.output(attempt).startswith("1\n")


def test_what_is_to_start_waits_for_an_engine_that_restarts(dock):
    assert dock.run("true").ending.exit_code == 0  # a slot has a connection that breaks now
    dock.engine.kill()
    attempt = dock.sh("exit 4")
    dock.until(lambda: (dock.data / "runner/orders" / attempt).exists(), "the attempt is claimed")
    dock.engine.start()
    assert dock.ended(attempt).ending.exit_code == 4


def test_a_job_can_be_stopped_while_its_engine_is_dead(dock):
    attempt = dock.sh("trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done")
    dock.until(lambda: holds(dock, attempt) == b"ready\n", "the job is ready")
    dock.engine.kill()
    dock.stop(attempt)
    dock.engine.start()
    assert dock.ended(attempt).ending.exit_code == 6


def test_slot_and_engine_may_die_together(dock):
    attempt = dock.sh(TALKS)
    dock.began(attempt)
    dock.engine.kill()
    kill_all_of_ours(dock)
    dock.start_runner()
    dock.connect()
    dock.engine.start()
    assert dock.ended(attempt).ending.exit_code == 5
    assert dock.output(attempt) == SAID


def test_a_container_that_somebody_removes_was_killed(dock):
    attempt = dock.sh("sleep 60")
    dock.began(attempt)
    with dock.engine.client() as client:
        client.api.remove_container(dock.containers()[0]["Id"], force=True)
    assert dock.ended(attempt).ending.exit_code == 137


def test_one_that_is_removed_while_nobody_looks_is_lost(dock):
    attempt = dock.sh("sleep 60")
    dock.began(attempt)
    kill_all_of_ours(dock)
    with dock.engine.client() as client:
        client.api.remove_container(dock.containers()[0]["Id"], force=True)
    dock.start_runner()
    dock.connect()
    assert isinstance(dock.ended(attempt), Lost)
    dock.until(lambda: not os.listdir(dock.data / "runner/orders"), "its order is forgotten")


def test_after_a_reboot_nothing_runs_that_ran_before(dock):
    attempt = dock.sh("sleep 60")
    dock.began(attempt)
    kill_all_of_ours(dock)
    order = dock.data / "runner/orders" / attempt
    order.write_text(order.read_text().replace('"boot":"', '"boot":"another-'))
    dock.start_runner()
    dock.connect()
    assert isinstance(dock.ended(attempt), Lost)


def test_containers_of_attempts_that_are_over_are_removed(dock):
    attempt = "00000000-0000-4000-8000-00000000ffff.1"
    with dock.engine.client() as client:
        body = {"Image": dock.image, "Cmd": ["sleep", "60"], "HostConfig": {"NetworkMode": "none"}}
        body["Labels"] = labels.labels(str(dock.data), attempt, "default")
        left = client.api.create_container_from_config(body, "left")["Id"]
        client.api.start(left)
    dock.restart_runner()
    dock.has_none_left()
