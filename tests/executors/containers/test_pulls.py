"""Images come from a registry once, and only when a job needs them, on each engine."""

from __future__ import annotations

import pytest

from batchyard.executors.runner.containers import trial
from batchyard.executors.runner.containers.engine import Engine, EngineError
from tests.engines import images
from tests.engines.registry import PASSWORD, USER, Registry


def test_an_image_is_pulled_once_however_many_jobs_need_it(dock):
    with Registry(delay_s=0.2) as registry:
        image = registry.push("once", images.archive("busybox"), Cmd=["sh", "-c", "exit 8"])
        attempts = [dock.start(dock.spec(image=image)) for _ in range(4)]
        assert [dock.ended(attempt).ending.exit_code for attempt in attempts] == [8] * 4
        assert registry.layers_sent["once"] == 1


def test_an_image_that_is_here_is_not_asked_for(dock):
    with Registry() as registry:
        image = registry.push("kept", images.archive("busybox"), Cmd=["true"])
        assert dock.ended(dock.start(dock.spec(image=image))).ending.exit_code == 0
    assert dock.ended(dock.start(dock.spec(image=image))).ending.exit_code == 0


def test_a_tag_that_the_registry_does_not_have_is_told(dock):
    with Registry() as registry:
        image = registry.push("some", images.archive("busybox"))
        ending = dock.run("true", image=image.rpartition(":")[0] + ":other").ending
    assert ending.status_reason == "Task failed to start"
    assert ending.reason.startswith("CannotPullContainerError: Error response from daemon: ")


def test_a_private_image_without_credentials_is_told(dock):
    with Registry(private=True) as registry:
        image = registry.push("secret", images.archive("busybox"))
        ending = dock.run("true", image=image).ending
    assert ending.reason.startswith("CannotPullContainerError: Error response from daemon: ")


def test_an_image_may_be_named_by_its_digest(dock):
    with Registry() as registry:
        image = registry.push("digest", images.archive("busybox"), Cmd=["true"])
        ending = dock.ended(dock.start(dock.spec(image=image))).ending
        assert ending.exit_code == 0
        with dock.engine.client() as client:
            named = client.api.inspect_image(image)["RepoDigests"][0]
            client.api.remove_image(image, force=True)
        assert dock.run("exit 6", image=named).ending.exit_code == 6


def test_a_private_image_is_pulled_with_the_credentials_that_the_job_names(container_engine, tmp_path):
    about, _ = trial.find([str(container_engine.socket)], str(tmp_path))
    engine = Engine(about)
    with Registry(private=True) as registry:
        image = registry.push("private", images.archive("busybox"), Cmd=["true"])
        with pytest.raises(EngineError):
            engine.pull(image, {"username": USER, "password": "wrong"})
        engine.pull(image, {"username": USER, "password": PASSWORD})
    engine.remove(engine.create("private", {"Image": image}))
