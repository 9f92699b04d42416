"""The engines that tests use: they run what they are given, keep it when they are killed, and leave nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from tests.engines import images, keeper
from tests.engines.registry import PASSWORD, USER, Registry


def run(engine, image: str, *command: str, **more) -> tuple[int, str]:
    """Exit code and output of a command in a container, which is removed."""
    with engine.client() as client:
        container = client.containers.create(engine.image(image), list(command), network_mode="none", **more)
        try:
            container.start()
            return container.wait()["StatusCode"], container.logs().decode()
        finally:
            container.remove(force=True)


def test_busybox_is_a_shell_and_its_commands(container_engine):
    assert run(container_engine, "busybox", "sh", "-c", "echo one two | cut -d' ' -f2; id -un; exit 3") == (
        3,
        "two\nroot\n",
    )


def test_python_runs_with_its_whole_library(container_engine):
    said = run(container_engine, "python", "python3", "-c", "import ssl, sqlite3, json, ctypes; print(json.dumps([1]))")
    assert said == (0, "[1]\n")


def test_pretend_is_a_program_of_the_image(container_engine):
    assert run(container_engine, "python", "pretend", "log=hello", "exit=4") == (4, "hello\n")


def test_an_image_is_pulled_from_a_registry_of_the_tests(container_engine):
    with Registry() as registry, container_engine.client() as client:
        reference = registry.push("some/where", images.archive("busybox"), Cmd=["echo", "pulled"])
        client.images.pull(reference)
        container = client.containers.create(reference, network_mode="none")
        container.start()
        container.wait()
        assert container.logs() == b"pulled\n"
        container.remove()
        assert registry.layers_sent == {"some/where": 1}
        with pytest.raises(docker.errors.APIError, match="unknown|not found|No such"):
            client.images.pull(f"{registry.address}/some/where", tag="other")


def test_a_private_registry_wants_a_login(container_engine):
    with Registry(private=True) as registry, container_engine.client() as client:
        reference = registry.push("locked/up", images.archive("busybox"))
        with pytest.raises(docker.errors.APIError, match="authentication|unauthorized|no basic auth|No such"):
            client.images.pull(reference)
        client.images.pull(reference, auth_config={"username": USER, "password": PASSWORD})


def test_a_killed_engine_keeps_its_containers(container_engine):
    with container_engine.client() as client:
        command = ["sh", "-c", "echo begun; sleep 1; echo done; exit 5"]
        container = client.containers.create(container_engine.image("busybox"), command, network_mode="none")
        container.start()
    container_engine.restart()
    with container_engine.client() as client:
        container = client.containers.get(container.id)
        assert container.wait()["StatusCode"] == 5
        assert container.logs() == b"begun\ndone\n"
        container.remove()
    assert container_engine.containers() == []


def test_nothing_of_an_engine_outlives_it(container_engine):
    """One more of its kind, with a container that runs."""
    another = type(container_engine)()
    try:
        another.start()
        with another.client() as client:
            client.containers.create(another.image("busybox"), ["sleep", "1000"], network_mode="none").start()
        assert another.left()
    finally:
        another.close()
    assert another.left() == []
    assert not another.base.exists()
    assert str(another.base) not in Path("/proc/self/mounts").read_text()


def test_nothing_of_an_engine_outlives_tests_that_are_killed(container_engine):
    """Their end is seen by a process that is there for that alone."""
    kind = type(container_engine)
    program = f"""
import os
from {kind.__module__} import {kind.__name__}
engine = {kind.__name__}().start()
with engine.client() as client:
    container = client.containers.create(engine.image("busybox"), ["sleep", "1000"], network_mode="none")
    container.start()
    container.reload()
print(engine.base, container.attrs["State"]["Pid"], flush=True)
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    base, first = map(Path, done.stdout.split())
    deadline = time.monotonic() + 30
    while (keeper.processes(base) or base.exists() or Path("/proc", first).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert keeper.processes(base) == [] and not base.exists(), done.stderr
    assert not Path("/proc", first).exists(), "its container has ended, too"
