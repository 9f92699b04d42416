"""Passing a blocked head, in the operator's words: who may, who may not, and that the head never waits for it."""

from __future__ import annotations

from batchyard.model.shares import SharePolicy
from tests.harness.world import World
from tests.scheduler.machines import GPU, LARGE, SMALL, fargate, on_demand


def lenient(vcpus: int, memory_mib: int = 16_384, gpus: int = 0, **settings) -> World:
    world = World(vcpus, memory_mib, twins=True)
    world.machine(vcpus, memory_mib, gpus, passing=True, **settings)
    return world


def running(world: World, queue: int, vcpus: int, timeout_s: int | None = None, **more):
    job = world.submit(queue, vcpus=vcpus, timeout_s=timeout_s, **more)
    world.settle()
    world.starts_running(job)
    world.settle()
    return job


def test_lines_are_strict_unless_the_operator_says_otherwise():
    world = World(vcpus=4)
    queue = world.queue()
    impossible, small = world.submit(queue, vcpus=5), world.submit(queue)
    world.settle()
    assert world.state(impossible) == world.state(small) == "RUNNABLE"


def test_who_can_never_be_placed_holds_up_nobody():
    world = lenient(4)
    queue = world.queue()
    impossible, array = world.submit(queue, vcpus=5, size=3), world.submit(queue, size=6)
    world.settle()
    assert world.states(impossible) == "rrr"
    assert world.states(array) == "ssssrr"
    world.finish_everything()
    assert world.states(array) == "SSSSSS"


def test_a_job_without_timeout_takes_nothing_that_the_head_waits_for():
    world = lenient(4)
    queue = world.queue()
    running(world, queue, vcpus=2)
    head, behind = world.submit(queue, vcpus=4), world.submit(queue, vcpus=1)
    world.settle()
    assert world.state(head) == world.state(behind) == "RUNNABLE"


def test_a_job_that_ends_before_the_head_can_start_passes_it():
    world = lenient(4)
    queue = world.queue()
    first = running(world, queue, vcpus=2, timeout_s=100)
    head = world.submit(queue, vcpus=4)
    long, short = world.submit(queue, timeout_s=101), world.submit(queue, timeout_s=90)
    world.settle()
    assert (world.state(head), world.state(long), world.state(short)) == ("RUNNABLE", "RUNNABLE", "STARTING")
    world.exits(short)
    world.turn(20_000)
    late = world.submit(queue, timeout_s=90)
    world.settle()
    assert world.state(late) == "RUNNABLE", "it would end after the head can start"
    world.exits(first)
    world.settle()
    assert world.state(head) == "STARTING"


def test_nobody_passes_by_a_timeout_where_timeouts_do_not_tell_when_the_head_starts():
    world = lenient(4)
    queue = world.queue()
    running(world, queue, vcpus=2)
    world.submit(queue, vcpus=4)
    short = world.submit(queue, timeout_s=60)
    world.settle()
    assert world.state(short) == "RUNNABLE"


def test_while_the_head_waits_for_a_gpu_others_take_what_is_left_besides_it():
    world = lenient(8, gpus=1)
    queue = world.queue()
    running(world, queue, vcpus=1, gpus=1)
    head = world.submit(queue, vcpus=4, gpus=1)
    others = world.submit(queue, vcpus=1, size=5)
    world.settle()
    assert world.state(head) == "RUNNABLE"
    assert world.states(others) == "sssrr", "of 7 free vCPUs 4 are left for the head"


def test_a_machine_on_which_the_head_can_never_be_is_open_to_all():
    world = lenient(4)
    queue = world.queue(world.environment(), world.pretend(1))
    running(world, queue, vcpus=2)
    head, behind = world.submit(queue, vcpus=3), world.submit(queue, vcpus=1)
    world.settle()
    assert world.state(head) == "RUNNABLE"
    assert world.state(behind) == "STARTING"
    assert world.environment_of(behind) != world.current(queue).environments[0]


def test_a_maximum_that_the_head_waits_for_is_not_used_up():
    world = lenient(64, 262_144)
    one, two = world.managed(fargate(4)), world.managed(fargate(2))
    queue = world.queue(one, two)
    running(world, queue, vcpus=2)
    head, behind = world.submit(queue, vcpus=4), world.submit(queue, vcpus=2, size=2)
    world.settle()
    assert world.state(head) == "RUNNABLE"
    assert world.states(behind) == "sr", "the second environment is too small for the head, the first is not"
    assert world.environment_of(behind[0]) == two


def test_an_instance_that_would_go_to_make_room_for_the_head_stays_free():
    world = lenient(8, 32_768)
    queue = world.queue(world.managed(on_demand(SMALL, LARGE, max_vcpus=8)))
    running(world, queue, vcpus=2)
    first_of_it = world.submit(queue, vcpus=1)
    world.settle()
    head, behind = world.submit(queue, vcpus=8), world.submit(queue, vcpus=1)
    world.settle()
    assert world.state(first_of_it) == "STARTING"
    assert world.state(head) == world.state(behind) == "RUNNABLE", "the machine is the head's once it is empty"


def test_beside_a_head_that_waits_for_a_gpu_instance_others_have_instances_launched():
    world = lenient(16, 65_536, gpus=2)
    queue = world.queue(world.managed(on_demand(SMALL, GPU, max_vcpus=64)))
    running(world, queue, vcpus=1, gpus=2)
    head, others = world.submit(queue, vcpus=1, gpus=1), world.submit(queue, vcpus=2, size=8)
    world.settle()
    assert world.state(head) == "RUNNABLE"
    assert world.states(others) == "ssssrrrr", "of 12 free vCPUs an instance with GPUs needs 4"


def test_while_an_instance_boots_for_the_head_others_use_what_is_ready():
    world = lenient(16, 65_536, boot_ms=60_000)
    queue = world.queue(world.managed(on_demand(SMALL, LARGE, max_vcpus=16)))
    early = world.submit(queue, vcpus=1)
    world.settle()
    world.turn(60_000)
    assert world.state(early) == "STARTING"
    head, behind = world.submit(queue, vcpus=8), world.submit(queue, vcpus=1)
    world.settle()
    assert world.state(head) == "RUNNABLE"
    assert world.state(behind) == "STARTING"
    world.turn(60_000)
    assert world.state(head) == "STARTING"


def test_in_a_fair_share_queue_others_pass_in_the_order_of_their_shares():
    world = lenient(4)
    queue = world.queue(policy=SharePolicy())
    impossible = world.submit(queue, vcpus=5, share="a")
    a, b = world.submit(queue, share="a", size=4), world.submit(queue, share="b", size=4)
    world.settle()
    assert world.state(impossible) == "RUNNABLE"
    assert world.states(a) == world.states(b) == "ssrr"


def test_the_setting_holds_from_the_next_turn_on_and_over_a_restart():
    world = World(vcpus=4, twins=True)
    queue = world.queue()
    world.submit(queue, vcpus=5)
    small = world.submit(queue)
    world.settle()
    assert world.state(small) == "RUNNABLE"
    world.machine(4, passing=True)
    world.settle()
    assert world.state(small) == "STARTING"
    world.restart()
    other = world.submit(queue)
    world.settle()
    assert world.state(other) == "STARTING"


def test_a_multi_node_job_that_can_never_be_placed_holds_up_nobody():
    world = lenient(8, 32_768)
    queue = world.queue(world.managed(on_demand(SMALL, LARGE, max_vcpus=8)))
    gang, single = world.submit_nodes(queue, 9), world.submit(queue, vcpus=1)
    world.settle()
    assert (world.state(gang), world.state(single)) == ("RUNNABLE", "STARTING")


def test_who_can_start_is_told_to_wait_for_those_who_can():
    world = lenient(4)
    queue = world.queue()
    impossible, large = world.submit(queue, vcpus=5), world.submit(queue, vcpus=4)
    world.settle()
    last = world.submit(queue, vcpus=4)
    world.settle()
    assert world.state(large) == "STARTING"
    line = world.scheduler.look().line(queue)
    assert line.head == (world.submitted[last.seq].uuid, -1), f"not {impossible}, which holds up nobody"
