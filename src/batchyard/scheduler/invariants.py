"""A walk over the whole state that knows every invariant. The harness calls it after every step."""

from __future__ import annotations

from functools import reduce

from batchyard.model import states
from batchyard.model.ids import WHOLE
from batchyard.model.jobs import TERMINATE
from batchyard.model.needs import NOTHING, Needs
from batchyard.scheduler import consumables, dependencies
from batchyard.scheduler.state import Array, Environment, Gang, Instance, Job, Queue, State

OPEN = (states.STARTING, states.RUNNING)


class Broken(AssertionError):
    """An invariant does not hold."""


def check(state: State) -> None:
    """Raise Broken naming the first invariant that does not hold. Between turns only."""
    _require(not state.facts and not state.actions, "facts or actions are left over from a turn")
    for job in state.jobs.values():
        if isinstance(job, Array):
            _check_array(job)
        elif isinstance(job, Gang) and job.status in states.TERMINAL:
            _require(bool(job.open_nodes) and job.open is None, f"gang {job.seq}: over, but still held")
        else:
            _check_single(job)
        if isinstance(job, Gang):
            _check_gang(state, job)
    _check_ledger(state)
    _check_consumables(state)
    _check_places(state)
    _check_lines(state)
    _check_shares(state)
    _check_work(state)
    _check_stuck(state)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def _check_single(job: Job) -> None:
    name = f"job {job.seq} ({states.NAMES[job.status]})"
    _require(job.status not in states.TERMINAL, f"{name}: terminal but still held")
    _require((job.open is not None) == (job.status in OPEN), f"{name}: an attempt is open exactly in STARTING, RUNNING")
    if job.open is not None:
        _require(job.open.number == job.number, f"{name}: the open attempt is not the latest")
        _require(
            (job.open.started_ms is not None) == (job.status == states.RUNNING), f"{name}: started and RUNNING differ"
        )
    _require(job.number <= job.retry.attempts, f"{name}: {job.number} attempts of {job.retry.attempts}")
    if job.status in (states.RUNNABLE, *OPEN):
        _require(not job.waits and not job.doomed, f"{name}: runs though its dependencies are not fulfilled")


def _check_array(job: Array) -> None:
    name = f"array {job.seq}"
    _require(job.status == states.PENDING, f"{name}: a held parent is PENDING, not {states.NAMES[job.status]}")
    counts = [job.children.count(number) for number in range(len(states.NAMES))]
    _require(counts == job.counts, f"{name}: counts {job.counts} but children {counts}")
    _require(sum(counts) == job.size, f"{name}: {sum(counts)} children of {job.size}")
    _require(counts[states.SUCCEEDED] + counts[states.FAILED] < job.size, f"{name}: over but still held")
    _require(counts[states.SUBMITTED] == 0, f"{name}: children in SUBMITTED")
    live = {index for index in range(job.size) if job.children[index] in OPEN}
    _require(live == set(job.open_children), f"{name}: open attempts {sorted(job.open_children)} but children {live}")
    for index, opened in job.open_children.items():
        _require(opened.number == job.number_of(index), f"{name}:{index}: the open attempt is not the latest")
        _require(opened.number <= job.retry.attempts, f"{name}:{index}: too many attempts")
    if job.waits or job.doomed:
        _require(not live and not counts[states.RUNNABLE], f"{name}: children run before the array's dependencies")


def _check_gang(state: State, gang: Gang) -> None:
    """All or nothing: all nodes were opened at once, one an instance, on instances of one type and nobody else's."""
    name = f"gang {gang.seq} ({states.NAMES[gang.status]})"
    opened = dict(gang.opens())
    for index, attempt in gang.open_nodes.items():
        _require(gang.states[index] in OPEN, f"{name}: node {index} is open in {states.NAMES[gang.states[index]]}")
        _require(attempt.number == gang.number, f"{name}: node {index} is open for an attempt that is over")
    if gang.open is not None:
        waiting = [each for each, state_now in gang.states.items() if state_now in (states.PENDING, states.RUNNABLE)]
        _require(not waiting, f"{name}: its main node has a place, nodes {waiting} have none")
    elif gang.status in (states.PENDING, states.RUNNABLE):
        wrong = [each for each, now in gang.states.items() if now != gang.status and each not in opened]
        _require(not wrong, f"{name}: nodes {wrong} are not in its state")
    environments = {attempt.environment for attempt in opened.values()}
    _require(len(environments) <= 1, f"{name}: in environments {environments}")
    places = [state.environments[each.environment].by_id[each.instance] for each in opened.values()]
    _require(len(set(map(id, places))) == len(places), f"{name}: two nodes on one instance")
    waiting_on = state.sets.get(gang.seq, [])
    _require(not (waiting_on and (opened or gang.status != states.RUNNABLE)), f"{name}: it waits for instances")
    _require(not waiting_on or len(waiting_on) == gang.nodes.count, f"{name}: it waits for {len(waiting_on)} instances")
    for instance in (*places, *waiting_on):
        _require(instance.type == (*places, *waiting_on)[0].type, f"{name}: instances of several types")
        _require(instance.reserved == gang.seq, f"{name}: instance {instance.number} is not its own")
        _require(len(instance.jobs) == (instance in places), f"{name}: instance {instance.number} is shared")


def _check_ledger(state: State) -> None:
    """What is taken of providers, environments and instances is what instances and open attempts hold."""
    used = dict.fromkeys(state.providers, NOTHING)
    held = {number: 0 for number in state.environments}
    on: dict[int, tuple[Needs, set]] = {number: (NOTHING, set()) for number in state.instances}
    lent = _lent_devices(state)
    going: set = {each.number for each in state.instances.values() if each.leaving is not None}
    for instance in state.instances.values():
        environment = state.environments[instance.environment]
        used[environment.provider] = used[environment.provider].plus(instance.room)
        held[environment.number] += instance.room.cpu_milli
    for job in state.jobs.values():
        for index, opened in job.opens():
            environment, needs = state.environments[opened.environment], state.needs_of(job, index)
            instance = environment.by_id.get(opened.instance)
            if opened.reclaim_ms is not None:
                going.add((job.seq, index))
            if instance is not None:
                taken, jobs = on[instance.number]
                on[instance.number] = taken.plus(needs), jobs | {(job.seq, index)}
            else:
                used[environment.provider] = used[environment.provider].plus(needs)
                held[environment.number] += needs.cpu_milli if environment.capacity else 0
    _require(going == set(state.going), f"{going} are to go, but {set(state.going)} are known as such")
    for name, provider in state.providers.items():
        _require(
            sorted(provider.lent) == sorted(lent[name]), f"{name}: GPUs {lent[name]}, the ledger has {provider.lent}"
        )
        _require(provider.used == used[name], f"{name}: ledger says {provider.used}, but {used[name]} is taken")
        holds = [each.holds for each in state.environments.values() if each.provider == name]
        _require(reduce(Needs.plus, holds, NOTHING) == provider.used, f"{name}: {holds} do not make {provider.used}")
    for environment in state.environments.values():
        _require(
            environment.held_cpu_milli == held[environment.number], f"environment {environment.number}: vCPUs held"
        )
        _check_instances(state, environment)
    for number, instance in state.instances.items():
        held_here = instance.usable.minus(instance.free), set(instance.jobs)
        _require(held_here == on[number], f"instance {number}: {held_here} by the ledger, {on[number]} by attempts")


def _check_consumables(state: State) -> None:
    """What is held of a resource is what open attempts ask for; whoever may have what it asks for is in line."""
    held = dict.fromkeys(state.consumables, 0)
    for job in state.jobs.values():
        for number, quantity in job.asks:
            opened = sum(1 for _ in job.opens())
            held[number] += quantity * (min(1, opened) if isinstance(job, Gang) else opened)
    for number, consumable in state.consumables.items():
        _require(consumable.held == held[number], f"resource {number}: {consumable.held} held, really {held[number]}")
        _require(consumable.consumed >= 0, f"resource {number}: {consumable.consumed} consumed")
    if not state.unsettled:
        _require(not state.stirred and not state.freed, "settled, and somebody was not looked at")
        for askers in {job.askers for job in state.jobs.values() if job.askers is not None}:
            _require(askers.line.aside.get(askers.asks) is askers, f"{askers.asks}: unknown to their line")
            if askers.first is not None and consumables.may_go(state, askers):
                _require(askers.first in askers.line, f"{askers.asks}: {askers.first} may go and is not in line")


def _lent_devices(state: State) -> dict[str, list[int]]:
    """The GPUs that instances and attempts hold of each provider; none twice, and as many as they need."""
    lent: dict[str, list[int]] = {name: [] for name in state.providers}
    on: dict[int, list[int]] = {number: [] for number in state.instances}
    for instance in state.instances.values():
        lent[state.environments[instance.environment].provider] += instance.devices
        _require(len(instance.devices) == instance.room.gpus, f"instance {instance.number}: GPUs {instance.devices}")
    for job in state.jobs.values():
        for index, opened in job.opens():
            environment = state.environments[opened.environment]
            instance = environment.by_id.get(opened.instance)
            (lent[environment.provider] if instance is None else on[instance.number]).extend(opened.devices)
            gpus = state.needs_of(job, index).gpus
            _require(len(opened.devices) == gpus, f"{job.seq}:{index}: GPUs {opened.devices}, it needs {gpus}")
    for name, devices in lent.items():
        _require(len(set(devices)) == len(devices), f"{name}: a GPU is lent twice: {sorted(devices)}")
    for number, devices in on.items():
        instance = state.instances[number]
        _require(sorted(instance.lent) == sorted(devices), f"instance {number}: GPUs {devices}, the ledger differs")
        _require(instance.lent <= set(instance.devices), f"instance {number} lends GPUs that it has not: {devices}")
    return lent


def _check_instances(state: State, environment: Environment) -> None:
    for instance in environment.instances.values():
        name = f"instance {instance.number} ({instance.type})"
        _require(min(instance.free) >= 0, f"{name}: {instance.free} is free")
        booting = instance.number in environment.booting
        _require(not (booting and instance.jobs), f"{name}: jobs on an instance that is not ready")
        lent = booting or bool(instance.reserved)
        placed = not lent and instance.leaving is None
        _require((instance in environment.shelf_of(instance)) == placed, f"{name}: on the shelf exactly when ready")
        _require(instance.leaving is None or instance.jobs, f"{name}: nothing runs on it, yet it is not gone")
        _require((instance.number in environment.idle) == (not instance.jobs and not lent), f"{name}: idle or not")
        if instance.reserved:
            _check_reserved(state, instance, name)
        elif not instance.jobs:
            watched = any(number == instance.number for _, number in state.timers)
            _require(watched or instance.number in environment.kept, f"{name}: idle and nobody looks at it again")


def _check_reserved(state: State, instance: Instance, name: str) -> None:
    gang = state.jobs.get(instance.reserved)
    _require(isinstance(gang, Gang), f"{name}: kept for job {instance.reserved}, which is none of several nodes")
    assert gang is not None
    held = instance in state.sets.get(gang.seq, ()) or any(each.instance == instance.id for _, each in gang.opens())
    _require(held, f"{name}: kept for job {gang.seq}, which is not there and does not wait for it")


def _check_places(state: State) -> None:
    """Live jobs have their queue, open attempts their environment, and what is to be deleted starts nothing."""
    opened: dict[int, set[tuple[int, int]]] = {number: set() for number in state.environments}
    for job in state.jobs.values():
        _require(job.queue in state.queues, f"job {job.seq}: its queue {job.queue} is gone")
        for index, attempt in job.opens():
            _require(attempt.environment in opened, f"job {job.seq}:{index} runs in an environment that is gone")
            opened[attempt.environment].add((job.seq, index))
    for number, environment in state.environments.items():
        name = f"environment {number}"
        _require(set(environment.open) == opened[number], f"{name}: {environment.open} open, really {opened[number]}")
        _require(not (environment.deleting and environment.enabled), f"{name}: to be deleted, yet enabled")
        _require(not environment.deleting or bool(environment.open), f"{name}: nothing is open, yet it is not gone")
    for queue in state.queues.values():
        name = f"queue {queue.number}"
        for number in queue.environments:
            named = state.environments.get(number)
            _require(named is not None and not named.deleting, f"{name} names environment {number}, which goes")
        _require((queue in state.order) != queue.deleting, f"{name}: it starts jobs exactly if it is not to be deleted")
        if queue.deleting:
            _check_leaving(state, queue)
    leaving = [queue for queue in state.queues.values() if queue.deleting]
    _require(sorted(state.leaving_queues, key=id) == sorted(leaving, key=id), "queues that leave are not all listed")


def _check_leaving(state: State, queue: Queue) -> None:
    """Each of its live jobs is still to be ended, or holds nothing but attempts that were told to stop."""
    jobs = {job.seq: job for job in state.jobs.values() if job.queue == queue.number}
    _require(bool(jobs), f"queue {queue.number}: no job lives, yet it is not gone")
    if queue.left is None:
        return
    known = set(queue.left) | set(queue.ending)
    _require(set(jobs) <= known, f"queue {queue.number}: jobs {set(jobs) - known} would be forgotten")
    for seq in set(jobs) - set(queue.left):
        for index, _ in jobs[seq].opens():
            stop = jobs[seq].stop_of(index)
            told = (stop is not None and stop[0] == TERMINATE) or jobs[seq].status in states.TERMINAL
            _require(told, f"{seq}:{index}: nobody told it to stop")
        job = jobs[seq]
        waits = job.counts[states.PENDING] + job.counts[states.RUNNABLE] if isinstance(job, Array) else not job.open
        waits = waits and job.status not in states.TERMINAL
        _require(not waits, f"job {seq}: it waits in a queue that goes, and nobody will end it")


def _check_lines(state: State) -> None:
    """Every RUNNABLE job stands in its queue's line."""
    stands = {entry for queue in state.queues.values() for entry in queue.line}
    stands |= {entry for queue in state.queues.values() for share in queue.shares.values() for entry in share.line}
    stands = stands - {entry for entry in stands if (job := state.jobs.get(entry[2])) is not None and job.askers}
    asking = {job.askers for job in state.jobs.values() if job.askers is not None}
    stands |= {entry for askers in asking for entry in askers.own}
    for job in state.jobs.values():
        if isinstance(job, Array):
            untried = [i for i in range(job.size) if job.children[i] == states.RUNNABLE and not job.number_of(i)]
            if untried:
                _require(
                    job.in_line and (1, job.rank, job.seq, WHOLE) in stands, f"array {job.seq}: ready but not in line"
                )
                _require(job.ready_from <= untried[0], f"array {job.seq}: child {untried[0]} would be passed over")
            for index, number in job.numbers.items():
                if job.children[index] == states.RUNNABLE:
                    _require(
                        (0, job.rank, job.seq, index) in stands, f"{job.seq}:{index}: attempt {number} is not in line"
                    )
        elif job.stands(WHOLE):
            front = 0 if job.number else 1
            _require((front, job.rank, job.seq, WHOLE) in stands, f"job {job.seq}: RUNNABLE but not in line")


def _check_shares(state: State) -> None:
    """Of every share: what its jobs hold, that its turn comes if one stands in line, and that it will be forgotten."""
    held: dict[tuple[int, str], int] = {}
    jobs: dict[tuple[int, str], int] = {}
    for job in state.jobs.values():
        if job.share is not None:
            key = job.queue, job.share.id
            jobs[key] = jobs.get(key, 0) + 1
            held[key] = held.get(key, 0) + sum(state.needs_of(job, index).cpu_milli for index, _ in job.opens())
    for queue in state.queues.values():
        told = {(queue.number, share.id): share for share in queue.shares.values()}
        of_shares = sum(cpu_milli for (number, _), cpu_milli in held.items() if number == queue.number)
        _require(queue.policy is None or queue.held_cpu_milli == of_shares, f"queue {queue.number}: vCPUs held")
        for key, share in told.items():
            name = f"share {share.id} of queue {queue.number}"
            _require(share.jobs == jobs.get(key, 0), f"{name}: {share.jobs} jobs, really {jobs.get(key, 0)}")
            _require(share.held_cpu_milli == held.get(key, 0), f"{name}: vCPUs held")
            if share.line:
                comes = (share.key, share.id) in queue.turns or share.id in queue.passed
                _require(comes, f"{name}: jobs stand in line, and its turn never comes")
            if not share.jobs:
                watched = any(each[1:] == key for each in state.fading)
                _require(watched, f"{name}: no job lives, and nobody will forget it")


def _check_work(state: State) -> None:
    """Whatever is PENDING and decided is noted, so that nobody waits for ever."""
    noted = set(state.work)
    for job in state.jobs.values():
        if isinstance(job, Array):
            for index in range(job.size):
                if job.children[index] == states.PENDING and dependencies.fate(job, index) is not None:
                    known = (job.seq, index) in noted or (job.seq, WHOLE) in noted
                    known = known or (job.sequential and any((job.seq, before) in noted for before in range(index)))
                    _require(known, f"{job.seq}:{index}: its fate is decided but not noted")
        elif job.status == states.PENDING and dependencies.fate(job, WHOLE) is not None:
            _require((job.seq, WHOLE) in noted, f"job {job.seq}: its fate is decided but not noted")


def _check_stuck(state: State) -> None:
    """Whose head is stuck has a head, as far as the last turn came to look at all of them."""
    for number, block in state.stuck.items() if not state.unsettled else ():
        name = f"queue {number}, stuck at {block.job}:{block.index}"
        _require(number == block.queue and number in state.queues, f"{name}: it is gone")
        job = state.jobs.get(block.job)
        _require(job is not None and job.queue == number, f"{name}: no such job lives in it")
        _require(job is None or job.state_of(block.index) == states.RUNNABLE, f"{name}: the job could not go")
