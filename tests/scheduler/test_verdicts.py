"""What stands in the way of a job, and whether it is true: change the one thing that is named, and the job starts."""

from __future__ import annotations

from batchyard.model.environments import Capacity
from batchyard.model.needs import Needs
from batchyard.model.shares import SharePolicy
from batchyard.model.verdicts import BID, GPU, MEMORY, QUANTITY, VCPU, Holder, Kind, Obstacle, Short, Verdict
from batchyard.scheduler.verdicts import Look
from tests.harness.world import Handle, World
from tests.scheduler import machines
from tests.scheduler.machines import LARGE, SMALL, STEADY, WIDE, fargate, on_demand, spot


def machine(vcpus=32, memory_mib=131_072, gpus=8, **timing) -> World:
    world = World(twins=True)
    world.machine(vcpus, memory_mib, gpus, **timing)
    return world


def verdict(world: World, job: Handle) -> Verdict:
    """Why the job waits, after everything has settled."""
    world.settle()
    state = world.scheduler.state
    assert world.state(job) == "RUNNABLE", "it is for jobs that wait"
    submitted = world.submitted[job.seq]
    return Look(state).verdict(state.queues[submitted.queue], submitted.needs, submitted.asks)


def only(world: World, job: Handle) -> Obstacle:
    """The one thing that stands in the way of the job in the nearest environment."""
    (found,) = verdict(world, job).obstacles
    return found


def starts(world: World, job: Handle) -> bool:
    world.settle()
    return world.state(job) == "STARTING"


# -- what somebody has to change ---------------------------------------------------------------------------------------


def test_a_disabled_environment_is_enabled():
    world = machine()
    place = world.managed(on_demand(LARGE), enabled=False)
    job = world.submit(world.queue(place))
    assert only(world, job) == Obstacle(Kind.DISABLED)
    world.update(place, enabled=True)
    assert starts(world, job)


def test_of_a_disabled_environment_all_else_that_stands_in_the_way_is_told_too():
    world = machine()
    place = world.managed(on_demand(LARGE, max_vcpus=4), enabled=False)
    job = world.submit(world.queue(place), vcpus=8)
    assert [each.kind for each in verdict(world, job).obstacles] == [Kind.DISABLED, Kind.MAXIMUM_BELOW]
    world.update(place, enabled=True, capacity=on_demand(LARGE, max_vcpus=8))
    assert starts(world, job)


def test_the_maximum_is_raised_to_what_is_asked():
    for make in (lambda most: on_demand(LARGE, max_vcpus=most), fargate):
        world = machine()
        place = world.managed(make(4))
        job = world.submit(world.queue(place), vcpus=8)
        assert only(world, job) == Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 8000, 4000),))
        world.update(place, capacity=make(8))
        assert starts(world, job)


def test_a_larger_type_is_allowed():
    world = machine()
    place = world.managed(on_demand(SMALL, STEADY))
    job = world.submit(world.queue(place), memory_mib=32_000)
    assert only(world, job) == Obstacle(Kind.NO_TYPE, (Short(MEMORY, 32_000, 16_384),), "m.steady")
    world.update(place, capacity=on_demand(SMALL, STEADY, WIDE))
    assert starts(world, job)


def test_or_less_is_asked_for():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL, STEADY)))
    job = world.submit(queue, memory_mib=32_000)
    short = only(world, job).short[0]
    world.terminate(job)
    assert starts(world, world.submit(queue, memory_mib=short.has))


def test_the_nearest_type_is_the_one_that_lacks_fewest_things():
    world = machine()
    job = world.submit(world.queue(world.managed(on_demand(LARGE, WIDE))), vcpus=8, memory_mib=20_000)
    assert only(world, job) == Obstacle(Kind.NO_TYPE, (Short(MEMORY, 20_000, 16_384),), "c.large")


def test_who_asks_for_a_gpu_is_told_that_no_type_has_one():
    world = machine()
    place = world.managed(on_demand(LARGE))
    job = world.submit(world.queue(place), gpus=1)
    assert only(world, job) == Obstacle(Kind.NO_TYPE, (Short(GPU, 1, 0),), "c.large")
    world.update(place, capacity=on_demand(LARGE, machines.GPU))
    assert starts(world, job)


def test_no_type_will_do_where_the_machine_is_too_small_anyhow():
    world = machine(vcpus=4)
    place = world.managed(on_demand(SMALL, max_vcpus=64))
    job = world.submit(world.queue(place), vcpus=8)
    assert [each.kind for each in verdict(world, job).obstacles] == [Kind.NO_TYPE, Kind.MACHINE_TOO_SMALL]
    world.update(place, capacity=on_demand(SMALL, LARGE, max_vcpus=64))
    world.machine(8, 131_072)
    assert starts(world, job)


def test_a_type_that_the_machine_does_not_hold_is_no_type():
    world = machine(vcpus=4)
    job = world.submit(world.queue(world.managed(on_demand(LARGE))), vcpus=3)
    assert only(world, job) == Obstacle(Kind.MACHINE_TOO_SMALL, (Short(VCPU, 8000, 4000),), "c.large")
    world.machine(8, 131_072)
    assert starts(world, job)


def test_a_job_that_is_larger_than_the_machine():
    for capacity in (None, fargate(64), on_demand(carves=True, max_vcpus=64)):
        world = machine(vcpus=4, memory_mib=4096)
        place = world.environment() if capacity is None else world.managed(capacity)
        job = world.submit(world.queue(place), vcpus=6, memory_mib=4000)
        assert only(world, job) == Obstacle(Kind.MACHINE_TOO_SMALL, (Short(VCPU, 6000, 4000),))
        world.machine(6, 4096)
        assert starts(world, job)


def test_best_fit_never_passes_its_maximum():
    world = machine()
    place = world.managed(on_demand(LARGE, max_vcpus=6, strategy="BEST_FIT"))
    job = world.submit(world.queue(place), vcpus=5)
    assert only(world, job) == Obstacle(Kind.TYPE_ABOVE_MAXIMUM, (Short(VCPU, 8000, 6000),), "c.large")
    world.update(place, capacity=on_demand(LARGE, max_vcpus=8, strategy="BEST_FIT"))
    assert starts(world, job)


def test_spot_is_dearer_than_the_bid():
    world = machine()
    place = world.managed(spot(SMALL, LARGE, bid_percent=40))  # 40 of 90 and 160 of 300
    job = world.submit(world.queue(place))
    assert only(world, job) == Obstacle(Kind.BID_BELOW, (Short(BID, 45, 40),), "c.small")
    world.update(place, capacity=spot(SMALL, LARGE, bid_percent=44))
    assert only(world, job).kind == Kind.BID_BELOW
    world.update(place, capacity=spot(SMALL, LARGE, bid_percent=45))
    assert starts(world, job)


# -- what passes by itself ---------------------------------------------------------------------------------------------


def test_an_environment_at_its_maximum_waits_for_an_end_or_a_higher_maximum():
    for best in ("BEST_FIT", "BEST_FIT_PROGRESSIVE"):
        world = machine()
        place = world.managed(on_demand(SMALL, max_vcpus=2, strategy=best))
        queue = world.queue(place)
        first, job = world.submit(queue, vcpus=2), world.submit(queue, vcpus=2)
        assert only(world, job) == Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, 2000, 0),))
        world.update(place, capacity=on_demand(SMALL, max_vcpus=4, strategy=best))
        assert starts(world, job)
        later = world.submit(queue, vcpus=2)
        assert only(world, later).kind == Kind.AT_MAXIMUM
        world.exits(first)
        assert starts(world, later)


def test_slices_of_fargate_are_bounded_too():
    world = machine()
    queue = world.queue(world.managed(fargate(4)))
    first, job = world.submit(queue, vcpus=3), world.submit(queue, vcpus=2)
    assert only(world, job) == Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, 2000, 1000),))
    world.exits(first)
    assert starts(world, job)


def test_others_hold_the_machine():
    world = machine(vcpus=8, memory_mib=32_768)
    there, here = world.managed(on_demand(LARGE, max_vcpus=8)), world.managed(on_demand(STEADY))
    other = world.submit(world.queue(there), vcpus=8)
    job = world.submit(world.queue(here), vcpus=2)
    held = (Holder(there, Needs(8000, 16_384)),)
    assert only(world, job) == Obstacle(Kind.ROOM_HELD, (Short(VCPU, 4000, 0),), "m.steady", holders=held)
    world.exits(other)
    assert starts(world, job), "the idle instance makes room"


def test_on_the_whole_machine_the_open_attempts_hold_it():
    world = machine(vcpus=4, memory_mib=8192)
    place, slices = world.environment(), world.managed(fargate(4))
    first, second = world.submit(world.queue(place), vcpus=1), world.submit(world.queue(slices), vcpus=2)
    job = world.submit(world.queue(place), vcpus=4)
    held = (Holder(slices, Needs(2000, 64)), Holder(place, Needs(1000, 64)))
    assert only(world, job) == Obstacle(Kind.ROOM_HELD, (Short(VCPU, 4000, 1000),), holders=held)
    world.exits(first)
    world.exits(second)
    assert starts(world, job)


def test_an_instance_boots():
    world = machine(boot_ms=5_000)
    job = world.submit(world.queue(world.managed(on_demand(SMALL))))
    assert only(world, job) == Obstacle(Kind.BOOTING, type="c.small", until_ms=world.now_ms + 5_000)
    world.turn(advance_ms=5_000)
    assert starts(world, job)


def test_spot_capacity_is_reclaimed_for_the_job():
    world = machine(vcpus=8, warning_ms=60_000)
    spare = world.submit(world.queue(world.managed(spot(LARGE))), vcpus=8)
    world.settle()
    world.starts_running(spare)
    job = world.submit(world.queue(world.managed(on_demand(STEADY))), vcpus=2)
    warned_ms = world.now_ms + 10
    found = only(world, job)
    assert (found.kind, found.type, found.until_ms) == (Kind.RECLAIMED, "m.steady", warned_ms + 60_000)
    world.turn(advance_ms=60_000)
    world.dies(spare)
    assert starts(world, job)


def test_a_reservation_for_shares_that_are_not_active():
    world = machine()
    policy = SharePolicy(reservation_percent=50)
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=8)), policy=policy)
    first, job = world.submit(queue, vcpus=2, share="a"), world.submit(queue, vcpus=2, share="a")
    blocked = world.submit(queue, vcpus=2, share="a")
    assert starts(world, job)
    assert only(world, blocked) == Obstacle(Kind.RESERVED, (Short(VCPU, 2000, 0),))
    world.exits(first)
    assert starts(world, blocked)


def test_a_reservation_that_leaves_less_than_one_job_asks_for():
    world = machine()
    policy = SharePolicy(reservation_percent=90)
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=8)), policy=policy)
    job = world.submit(queue, vcpus=2, share="a")
    assert only(world, job) == Obstacle(Kind.RESERVATION_BELOW, (Short(VCPU, 2000, 800),))
    world.edit_policy(queue, SharePolicy(reservation_percent=75))
    assert starts(world, job)


def test_more_of_a_consumable_resource_is_asked_for_than_there_is():
    world = World(twins=True)
    licence, queue = world.resource(2), world.queue()
    job = world.submit(queue, asks={licence: 3})
    assert only(world, job) == Obstacle(Kind.SUPPLY_BELOW, (Short(QUANTITY, 3, 2),), resource=licence)
    world.set_total(licence, 3)
    assert starts(world, job)


def test_others_hold_the_consumable_resource():
    world = World(twins=True)
    licence, queue = world.resource(3), world.queue()
    holder, job = world.submit(queue, asks={licence: 2}), world.submit(queue, asks={licence: 2})
    assert only(world, job) == Obstacle(Kind.SUPPLY_HELD, (Short(QUANTITY, 2, 1),), resource=licence)
    world.exits(holder)
    assert starts(world, job)


# -- several environments, and the line --------------------------------------------------------------------------------


def test_each_environment_is_judged_by_itself_in_order_of_the_queue():
    world = machine()
    off, low, small = (
        world.managed(on_demand(LARGE), enabled=False),
        world.managed(on_demand(LARGE, max_vcpus=2)),
        world.managed(on_demand(SMALL)),
    )
    job = world.submit(world.queue(small, low, off), vcpus=4)
    found = verdict(world, job)
    told = [(place.environment, *(each.kind for each in place.obstacles)) for place in found.places]
    assert told == [(small, Kind.NO_TYPE), (low, Kind.MAXIMUM_BELOW), (off, Kind.DISABLED)]
    assert (found.kind, found.nearest, found.standing) == (Kind.DISABLED, 2, True), "one call enables it"
    world.update(off, enabled=True)
    assert starts(world, job)


def test_who_could_start_now_waits_for_its_turn():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL)))
    head, job = world.submit(queue, vcpus=4), world.submit(queue)
    assert verdict(world, job).kind == Kind.TURN
    assert verdict(world, head).kind == Kind.NO_TYPE
    world.terminate(head)
    assert starts(world, job)


def test_a_job_waits_for_the_instance_that_boots_and_does_not_spill_over():
    world = machine(boot_ms=5_000)
    first, second = world.managed(on_demand(SMALL)), world.managed(fargate(4))
    job = world.submit(world.queue(first, second))
    assert (verdict(world, job).kind, verdict(world, job).nearest) == (Kind.BOOTING, 0)


def test_an_environment_that_is_deleted_stands_in_the_way_for_good():
    world = machine()
    capacity: Capacity = on_demand(SMALL)
    keep, gone = world.managed(capacity), world.managed(capacity)
    queue = world.queue(gone)
    world.settle()
    state = world.scheduler.state
    state.environments[gone].enabled, state.environments[gone].deleting = False, True
    found = Look(state).verdict(state.queues[queue], Needs(1000, 64))
    state.environments[gone].deleting = False
    assert (found.kind, found.standing) == (Kind.LEAVING, True)
    world.update(queue, environments=(keep,))
    assert starts(world, world.submit(queue))


# -- multi-node jobs ---------------------------------------------------------------------------------------------------


def of_nodes(world: World, job: Handle) -> Verdict:
    """Why the multi-node job waits, after everything has settled."""
    world.settle()
    look = world.scheduler.look()
    assert list(look.first_gangs()) == [job.seq]
    return look.verdict_on_gang(job.seq)


def test_multi_node_jobs_are_in_no_class_however_many_kinds_of_them_wait():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL, max_vcpus=4)))
    licence = world.resource(1)
    for count in (3, 4, 5):
        world.submit_nodes(queue, count, vcpus=2)
        world.submit_nodes(queue, count, vcpus=2, asks={licence: 2})
    world.settle()
    assert list(world.scheduler.look().classes()) == []


def test_a_multi_node_job_that_waits_for_licences_is_told_for_which():
    world = machine()
    queue = world.queue(world.managed(on_demand(SMALL)))
    seats, tapes = world.resource(5), world.resource(2)
    holder = world.submit(queue, asks={seats: 1})
    job = world.submit_nodes(queue, 2, asks={seats: 5, tapes: 2})
    found = of_nodes(world, job)
    assert found.obstacles == (Obstacle(Kind.SUPPLY_HELD, (Short(QUANTITY, 5, 4),), resource=seats),)
    world.exits(holder)
    assert starts(world, job)


def test_all_nodes_of_a_job_have_to_fit_the_maximum():
    world = machine()
    place = world.managed(on_demand(SMALL, max_vcpus=4))
    job = world.submit_nodes(world.queue(place), 3, vcpus=2)
    assert of_nodes(world, job).obstacles == (Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 6000, 4000),), "c.small"),)
    world.update(place, capacity=on_demand(SMALL, max_vcpus=6))
    assert starts(world, job)


def test_others_hold_the_room_for_some_of_the_nodes():
    world = machine(vcpus=8)
    slices = world.managed(fargate(8))
    other = world.submit(world.queue(slices), vcpus=4)
    job = world.submit_nodes(world.queue(world.managed(on_demand(SMALL))), 3, vcpus=2)
    (found,) = of_nodes(world, job).obstacles
    assert (found.kind, found.short, found.type) == (Kind.ROOM_HELD, (Short(VCPU, 6000, 4000),), "c.small")
    world.exits(other)
    assert starts(world, job)


def test_multi_node_jobs_need_instances_on_demand():
    world = machine()
    place = world.managed(spot(SMALL))
    queue = world.queue(place)
    job = world.submit_nodes(queue, 2, vcpus=2)
    assert of_nodes(world, job).obstacles == (Obstacle(Kind.NO_NODES),)
    world.update(queue, environments=(place, world.managed(on_demand(SMALL))))
    assert starts(world, job)


def test_the_instances_of_its_nodes_boot():
    world = machine(boot_ms=5_000)
    job = world.submit_nodes(world.queue(world.managed(on_demand(SMALL))), 2, vcpus=2)
    (found,) = of_nodes(world, job).obstacles
    assert (found.kind, found.type) == (Kind.BOOTING, "c.small")
    world.turn(advance_ms=5_000)
    assert starts(world, job)
