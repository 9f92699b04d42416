"""Fixtures: a yard whose attempts run in containers of each engine in turn; afterwards the engine has none left."""

from __future__ import annotations

import pytest

from batchyard.executors.runner.containers import labels
from tests.executors.yard import Yard


class Dock(Yard):
    """A yard with an engine; what it runs, it runs in the image `busybox` unless another is named."""

    engine = None  # set at once by the fixture
    image = ""

    def spec(self, *command: str, **more):
        return super().spec(*command, **({"image": self.image} | more))

    def containers(self) -> list[dict]:
        """Those of this yard, running or not, as the engine lists them."""
        with self.engine.client() as client:
            label = f"{labels.DATA}={labels.data_id(str(self.data))}"
            return client.api.containers(all=True, filters={"label": label})

    def has_none_left(self) -> None:
        self.until(lambda: not self.containers(), "no container is left")


@pytest.fixture
def make_dock(make_yard, container_engine, monkeypatch):
    docks: list[Dock] = []

    def make(*flags: str, **settings) -> Dock:
        monkeypatch.setattr("tests.executors.conftest.Yard", Dock)
        flags = ("--executor", "container", "--engine-socket", str(container_engine.socket), *flags)
        dock = make_yard(*flags, **({"executor": "container"} | settings))
        dock.engine, dock.image = container_engine, container_engine.image("busybox")
        docks.append(dock)
        return dock

    yield make
    for dock in docks:
        dock.has_none_left()


@pytest.fixture
def dock(make_dock) -> Dock:
    return make_dock()
