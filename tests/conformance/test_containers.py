"""What engines do differently from each other and from what one would hope, and that jobs do not notice.

Every trap that was measured has its test here, on a real dockerd and a real Podman: restarts of everything in the
middle of a job, what is left behind, images that are pulled, started, refused.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from batchyard.executors.runner.wire import boot_s
from batchyard.model.needs import Needs
from tests.conformance.yards import ContainerYard
from tests.engines import images
from tests.engines.registry import Registry

EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"
LINES = 24
COUNT = f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; sleep 0.05; done; exit 7"
COUNTED = "".join(f"line {number}\n" for number in range(1, LINES + 1))


@pytest.fixture(scope="module", params=["docker", pytest.param("podman", marks=pytest.mark.long)])
def its_yard(request):
    engine = request.getfixturevalue(f"{request.param}_engine")
    data = Path(tempfile.mkdtemp(prefix="batchyard-test-"))
    data.chmod(0o755)
    yard = ContainerYard(data, engine)
    yard.image = engine.image("busybox")
    yield yard
    yard.close()
    yard.until(lambda: yard.containers() == [], "its containers are removed")
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def yard(its_yard):
    """After each test its engine runs, and nothing of its jobs is left there."""
    yield its_yard
    its_yard.engine.start()
    its_yard.until(lambda: its_yard.containers() == [], "its containers are removed")
    for attempt in its_yard.specs:
        its_yard.release(attempt)
    its_yard.specs.clear()
    its_yard.news.clear()


def counting(yard) -> str:
    """A job that says a line every now and then, and has said some."""
    attempt = yard.sh(COUNT)
    yard.began(attempt)
    yard.until(lambda: b"line 5" in yard.log_bytes(attempt), "it has counted to five")
    return attempt


def counted(yard, attempt: str) -> None:
    told = yard.ended(attempt).ending
    assert (told.exit_code, told.status_reason, told.reason) == (7, EXITED, None)
    assert yard.output(attempt) == COUNTED, "each line once"
    assert told.stopped_ms - told.started_ms >= LINES * 50


# -- restarts in the middle of a job -----------------------------------------------------------------------------------


def test_a_slot_is_killed(yard):
    attempt = counting(yard)
    for pid in yard.slots():
        os.kill(pid, signal.SIGKILL)
    counted(yard, attempt)


def test_a_runner_is_killed(yard):
    attempt = counting(yard)
    yard.restart()
    counted(yard, attempt)


def test_runner_and_slots_are_killed(yard):
    attempt = counting(yard)
    yard.kill_runner()
    for pid in yard.slots():
        os.kill(pid, signal.SIGKILL)
    yard.restart()
    counted(yard, attempt)


def test_an_engine_is_killed_and_started_again(yard):
    attempt = counting(yard)
    yard.engine.restart()
    counted(yard, attempt)


def test_an_engine_is_away_for_a_while(yard):
    """What is written meanwhile is kept: in a pipe by the process that holds the container, or in its file."""
    attempt = counting(yard)
    yard.engine.kill()
    time.sleep(0.7)
    yard.engine.start()
    counted(yard, attempt)


def test_all_of_it_is_killed_at_once(yard):
    attempt = counting(yard)
    yard.kill_runner()
    yard.engine.kill()
    for pid in yard.slots():
        os.kill(pid, signal.SIGKILL)
    yard.engine.start()
    yard.restart()
    counted(yard, attempt)


def test_a_runner_that_is_told_to_quit_right_after_a_job_leaves_nothing(its_yard, tmp_path):
    its_yard.engine.start()
    another = ContainerYard(tmp_path, its_yard.engine)
    attempt = another.pretend("exit=0")
    another.ended(attempt)
    another.close()
    another.until(lambda: another.containers() == [], "its container is removed")


def test_a_job_ends_while_its_engine_is_away(yard):
    """Its exit code is known all the same; of its last words those are, that the engine has not lost."""
    attempt = counting(yard)
    yard.engine.kill()
    time.sleep(LINES * 0.05 + 1)
    yard.engine.start()
    told = yard.ended(attempt).ending
    assert (told.exit_code, told.status_reason) == (7, EXITED)
    assert COUNTED.startswith(yard.output(attempt)) and "line 5" in yard.output(attempt)


def test_jobs_are_started_while_the_engine_is_away(yard):
    yard.engine.kill()
    attempt = yard.sh("echo at last; exit 3")
    time.sleep(0.5)
    yard.engine.start()
    assert yard.ended(attempt).ending.exit_code == 3
    assert yard.output(attempt) == "at last\n"


def test_a_stop_needs_no_engine(yard):
    attempt = yard.sh("trap 'exit 9' TERM; echo armed; while :; do sleep 0.05; done")
    yard.began(attempt)
    yard.until(lambda: b"armed" in yard.log_bytes(attempt), "its trap is set")
    yard.engine.kill()
    yard.stop(attempt)
    time.sleep(0.5)
    yard.engine.start()
    assert yard.ended(attempt).ending.exit_code == 9


def test_a_container_that_somebody_removes_is_told(yard):
    """As is a job that somebody kills by hand."""
    attempt = counting(yard)
    with yard.engine.client() as client:
        (name,) = yard.containers()
        client.api.remove_container(name, force=True)
    assert yard.ended(attempt).ending.exit_code == 137


# -- what is left behind -----------------------------------------------------------------------------------------------


def label(yard) -> str:
    """What marks containers as those of this yard's data directory."""
    attempt = yard.sh("sleep 20")
    yard.began(attempt)
    with yard.engine.client() as client:
        (found,) = client.api.containers(filters={"label": ["batchyard.data"]})
    yard.stop(attempt, 0)
    yard.ended(attempt)
    return found["Labels"]["batchyard.data"]


def test_containers_that_a_dead_server_left_are_removed_and_those_of_others_are_not(yard):
    ours = label(yard)
    yard.until(lambda: yard.containers() == [], "nothing is left")
    with yard.engine.client() as client:

        def left(data: str) -> str:
            labels = {"batchyard.data": data, "batchyard.attempt": "gone.1", "batchyard.container": "default"}
            made = client.containers.create(yard.image, ["sleep", "100"], labels=labels, network_mode="none")
            made.start()
            return made.id

        lost, foreign = left(ours), left("another")
        try:
            yard.restart()
            ids = [lost]
            yard.until(
                lambda: lost not in {each["Id"] for each in client.api.containers(all=True)}, f"{ids} is removed"
            )
            assert foreign in {each["Id"] for each in client.api.containers()}
        finally:
            client.api.remove_container(foreign, force=True)


def test_a_container_whose_making_was_never_answered_is_the_attempts_own(yard):
    """Its name is taken then: Docker calls that a conflict (409), Podman an error of its own (500)."""
    spec = yard.spec("sh", "-c", "echo mine; exit 4")
    ours = label(yard)
    labels = {"batchyard.data": ours, "batchyard.attempt": spec.attempt, "batchyard.container": "default"}
    name = f"batchyard-{ours[:8]}-{spec.attempt}-default"
    with yard.engine.client() as client:
        command = spec.container["command"]
        client.containers.create(yard.image, command, name=name, labels=labels, network_mode="none")
    yard.start(spec)
    told = yard.ended(spec.attempt).ending
    assert (told.exit_code, yard.output(spec.attempt)) == (4, "mine\n")


def test_a_container_of_somebody_elses_that_has_the_name_is_left_alone(yard):
    spec = yard.spec("true")
    name = f"batchyard-{label(yard)[:8]}-{spec.attempt}-default"
    with yard.engine.client() as client:
        foreign = client.containers.create(yard.image, ["sleep", "600"], name=name, network_mode="none")
        try:
            yard.start(spec)
            told = yard.ended(spec.attempt).ending
            assert (told.exit_code, told.status_reason) == (None, NOT_STARTED)
            assert name in told.reason
            assert foreign.id in {each["Id"] for each in client.api.containers(all=True)}
        finally:
            foreign.remove(force=True)


# -- what the engines tell ---------------------------------------------------------------------------------------------


def test_a_job_never_ends_before_it_began(yard):
    """Podman has FinishedAt before StartedAt for what is over at once."""
    attempts = [yard.sh("exit 5") for _ in range(6)]
    for attempt in attempts:
        told = yard.ended(attempt).ending
        assert told.exit_code == 5
        assert yard.specs[attempt].opened_ms <= told.started_ms <= told.stopped_ms


def test_a_program_that_is_no_program_is_told_as_one(yard):
    told = yard.ended(yard.start(yard.spec("/etc/passwd"))).ending
    assert (told.exit_code, told.status_reason, told.started_ms) == (126, NOT_STARTED, None)
    assert told.reason.startswith("CannotStartContainerError: ") and "permission denied" in told.reason


def test_one_limit_that_is_given_leaves_the_others_as_they_are(yard):
    """Podman drops its configured ones as soon as a container has one of its own."""
    show = "ulimit -n; ulimit -u; ulimit -c"
    usual = yard.sh(show)
    yard.ended(usual)
    one = yard.sh(show, ulimits=[{"name": "core", "softLimit": 4096, "hardLimit": 4096}])
    assert yard.ended(one).ending.exit_code == 0
    assert yard.output(one).splitlines()[:2] == yard.output(usual).splitlines()[:2]
    assert yard.output(one).splitlines()[2] in ("4", "8"), "blocks of 1024 or of 512 bytes"


def test_a_child_that_outgrows_memory_is_told_when_it_takes_the_job_along(yard):
    """The kernel kills the child; its shell goes on and says so by its exit code."""
    grow = "dd if=/dev/zero of=/dev/null bs=200M count=1 || exit 137"
    told = yard.run(grow, needs=Needs(1000, 32)).ending
    assert (told.exit_code, told.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")


# -- images ------------------------------------------------------------------------------------------------------------


def test_an_image_is_pulled_once_however_many_jobs_want_it(yard):
    with Registry(delay_s=0.1) as registry:
        reference = registry.push("wanted", images.archive("busybox"), Cmd=["echo", "its own"])
        attempts = [yard.start(yard.spec(image=reference)) for _ in range(5)]
        for attempt in attempts:
            assert yard.ended(attempt).ending.exit_code == 0
            assert yard.output(attempt) == "its own\n"
        assert registry.layers_sent == {"wanted": 1}


def test_a_command_takes_the_place_of_the_images_own_and_the_entry_point_stays(yard):
    with Registry() as registry:
        reference = registry.push(
            "entered", images.archive("busybox"), Entrypoint=["echo", "said:"], Cmd=["its own"], Env=["PATH=/bin"]
        )
        own, other = yard.start(yard.spec(image=reference)), yard.start(yard.spec("mine", "too", image=reference))
        yard.ended(own), yard.ended(other)
    assert (yard.output(own), yard.output(other)) == ("said: its own\n", "said: mine too\n")


@pytest.mark.parametrize("what", ["tag", "login", "nobody"])
def test_an_image_that_cannot_be_had_is_why_the_job_did_not_start(yard, what):
    with Registry(private=what == "login") as registry:
        reference = registry.push("there", images.archive("busybox"))
        reference = {"tag": f"{registry.address}/there:not", "nobody": "127.0.0.1:9/not/there"}.get(what, reference)
        told = yard.ended(yard.start(yard.spec("true", image=reference))).ending
    assert (told.exit_code, told.status_reason, told.started_ms) == (None, NOT_STARTED, None)
    assert told.reason.startswith("CannotPullContainerError: ")
    wanted = {"tag": "unknown", "login": "(auth|credentials|unauthorized)", "nobody": "connection refused"}[what]
    assert re.search(wanted, told.reason), told.reason


def test_a_stop_ends_a_pull(yard):
    with Registry(delay_s=5) as registry:
        reference = registry.push("slow", images.archive("busybox"))
        begun_s = boot_s()
        attempt = yard.start(yard.spec("true", image=reference))
        time.sleep(0.5)
        yard.stop(attempt, 0)
        told = yard.ended(attempt).ending
    assert told.started_ms is None and boot_s() - begun_s < 10
