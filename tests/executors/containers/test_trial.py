"""An engine is taken when it has run a container, and what it is like is found out by that."""

from __future__ import annotations

import pytest

from batchyard.executors.runner.choice import Choice
from batchyard.executors.runner.containers import programs, trial


def test_an_engine_that_runs_our_program_passes(container_engine, tmp_path):
    found, failure = trial.find([str(container_engine.socket)], str(tmp_path))
    assert failure is None
    assert (found.name, found.socket, found.local) == (container_engine.name, str(container_engine.socket), True)
    with container_engine.client() as client:
        assert client.containers.list(all=True) == []


def test_the_first_that_passes_is_taken(container_engine, tmp_path):
    choice = Choice("auto", [str(tmp_path / "none"), str(container_engine.socket)], str(tmp_path))
    assert choice.try_now() and choice.engine.name == container_engine.name


def test_nobody_at_the_socket_is_said(tmp_path):
    assert trial.find([f"{tmp_path}/x"], str(tmp_path)) == (None, f"{tmp_path}/x: there is no such socket")
    assert trial.find([], str(tmp_path)) == (None, "no socket of a container engine was found")


def test_no_engine_is_asked_where_none_is_wanted():
    choice = Choice("process", ["/nowhere"], "/nowhere")
    assert (choice.try_now(), choice.try_again(), choice.failure) == (False, False, None)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_program_is_of_the_machine(machine):
    program = programs._program(machine, b"says", 0.5, 3)
    assert program[:4] == b"\x7fELF" and len(program) < 400 and program.endswith(b"says")


def test_a_machine_that_has_no_program_is_said():
    with pytest.raises(programs.NoProgram, match="riscv64"):
        programs._program("riscv64", b"", 0, 0)
