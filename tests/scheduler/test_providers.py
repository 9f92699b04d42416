"""Environments with room of their own beside those that share the machine."""

from __future__ import annotations

from batchyard.model.events import ExecutorSurveyed
from batchyard.model.facts import ProviderRecorded
from batchyard.model.needs import Needs
from tests.harness.world import World


def test_an_environment_brings_its_room_and_a_full_one_spills():
    world = World(vcpus=0)
    first, second = world.pretend(2), world.pretend(1)
    queue = world.queue(first, second)
    jobs = [world.submit(queue) for _ in range(4)]
    world.turn()
    assert [world.state(job) for job in jobs] == ["STARTING"] * 3 + ["RUNNABLE"]
    places = [opened.environment for job in jobs[:3] for _, opened in world.scheduler.state.jobs[job.seq].opens()]
    assert places == [first, first, second]
    recorded = [fact for fact in world.decisions[-1].facts if isinstance(fact, ProviderRecorded)]
    assert recorded[-2:] == [
        ProviderRecorded(f"pretend/{first}", Needs(2000, 16_384)),
        ProviderRecorded(f"pretend/{second}", Needs(1000, 16_384)),
    ]


def test_the_room_is_there_after_a_restart():
    world = World(vcpus=0)
    queue = world.queue(world.pretend(2))
    jobs = [world.submit(queue) for _ in range(3)]
    world.turn()
    world.restart()
    world.starts_running(jobs[0])
    world.turn()
    world.exits(jobs[0])
    world.turn()
    assert [world.state(job) for job in jobs] == ["SUCCEEDED", "STARTING", "STARTING"]


def test_a_survey_of_an_executor_is_of_all_its_environments_and_of_no_other():
    world = World(vcpus=4)
    queues = [world.queue(world.pretend(1)), world.queue(world.pretend(1)), world.queue()]
    jobs = [world.submit(queue) for queue in queues]
    world.turn()
    assert world.started == jobs
    del world.running[jobs[1]]
    world.events.append(ExecutorSurveyed("pretend", frozenset({(jobs[0].seq, -1, 1)})))
    world.turn()
    assert world.started == [*jobs, jobs[1]], "the second is unknown there; the third is not asked about"
