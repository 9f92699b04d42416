"""Verdicts in words: what stands in the way of a job, and what would change it (``model/verdicts.py``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from batchyard.describe import measures
from batchyard.model.needs import Needs
from batchyard.model.verdicts import BID, MEMORY, VCPU, Kind, Obstacle, PlaceVerdict, Verdict

HOLDERS_TOLD = 3


class Speech(NamedTuple):
    """What words are made with: names of environments and consumable resources by number, a type that would hold such
    needs, and the time."""

    name: Callable[[int], str]
    resource: Callable[[int], str]
    larger: Callable[[Needs], str | None]
    now_ms: int


class Said(NamedTuple):
    """One obstacle: what it is, what would change it ("" where only time will), and a command that does so."""

    fact: str
    remedy: str
    command: str = ""


def sentence(speech: Speech, verdict: Verdict, needs: Needs) -> str:
    """All that would have to change for a job of the class to start, as a clause; "" if nothing would."""
    said = obstacles(speech, verdict, needs)
    facts = "; and ".join(dict.fromkeys(each.fact for each in said))
    remedies = measures.listed(list(dict.fromkeys(each.remedy for each in said if each.remedy)))
    return f"{facts}: {remedies}" if remedies else facts


def next_step(speech: Speech, verdict: Verdict, needs: Needs) -> str | None:
    """What to do, as a sentence; None where there is nothing to do but to wait."""
    remedies = [each.remedy for each in obstacles(speech, verdict, needs) if each.remedy]
    text = measures.listed(list(dict.fromkeys(remedies)))
    return f"{text[0].upper()}{text[1:]}." if text else None


def commands(speech: Speech, verdict: Verdict, needs: Needs) -> tuple[str, ...]:
    """What could be typed to change what one command can change."""
    return tuple(dict.fromkeys(each.command for each in obstacles(speech, verdict, needs) if each.command))


def obstacles(speech: Speech, verdict: Verdict, needs: Needs) -> list[Said]:
    """What is in the way everywhere, and in the environment that lacks least."""
    place = None if verdict.nearest is None else verdict.places[verdict.nearest]
    said = [_SAYS[each.kind](speech, "", each, needs) for each in verdict.own]
    return said + ([] if place is None else in_place(speech, place, needs))


def in_place(speech: Speech, place: PlaceVerdict, needs: Needs) -> list[Said]:
    """What is in the way in one environment."""
    name = speech.name(place.environment)
    return [_SAYS[each.kind](speech, name, each, needs) for each in place.obstacles]


def data(speech: Speech, obstacle: Obstacle) -> dict[str, Any]:
    """The obstacle for programs; CPU in vCPUs, memory in MiB."""
    found: dict[str, Any] = {"kind": str(obstacle.kind), "standing": obstacle.kind.standing}
    if obstacle.short:
        found["short"] = [
            {"dimension": each.dimension, "asked": _number(each.dimension, each.asked),
             "has": _number(each.dimension, each.has)}
            for each in obstacle.short
        ]  # fmt: skip
    if obstacle.type:
        found["instanceType"] = obstacle.type
    if obstacle.resource:
        found["consumableResource"] = speech.resource(obstacle.resource)
    if obstacle.until_ms is not None:
        found["until"] = obstacle.until_ms
    if obstacle.holders:
        found["heldBy"] = [
            {"computeEnvironment": speech.name(each.environment), "vcpus": _number(VCPU, each.holds.cpu_milli),
             "memory": each.holds.memory_mib, "gpus": each.holds.gpus}
            for each in obstacle.holders
        ]  # fmt: skip
    return found


def _number(dimension: str, number: int) -> int | float:
    if dimension != VCPU:
        return number
    return number // 1000 if number % 1000 == 0 else number / 1000


# -- one function a kind ---------------------------------------------------------------------------------------------


def _leaving(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said(f"compute environment {name} is being deleted", "give the queue another one")


def _disabled(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said(f"compute environment {name} is DISABLED", f"enable {name}", _update(name, "--state ENABLED"))


def _no_nodes(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said(f"a multi-node job runs on instances on demand, and {name} has none", "give the queue one of type EC2")


def _no_machine(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said(f"nobody has told how large the machine of {name} is", "see what the server's log says of it")


def _maximum_below(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    asked, has = measures.vcpus(short.asked), measures.vcpus(short.has)
    fact = f"it asks for {asked}, and {name} may never hold more than {has}"
    return Said(fact, f"ask for less, or {_raise(name, short.asked)}", _update_maximum(name, short.asked))


def _type_above_maximum(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    fact = (
        f"{name} would take a {obstacle.type} of {measures.vcpus(short.asked)} for it, and with BEST_FIT it may never "
    )
    fact += f"hold more than {measures.vcpus(short.has)}"
    remedy = f"allow a smaller type, or {_raise(name, short.asked)}"
    return Said(fact, remedy, _update_maximum(name, short.asked))


def _no_type(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    if not obstacle.type:
        return Said(f"{name} allows no instance type that there is", "allow others")
    asked = measures.listed([measures.amount(each.dimension, each.asked) for each in obstacle.short])
    has = measures.listed([measures.amount(each.dimension, each.has) for each in obstacle.short])
    usable = " for jobs" if any(each.dimension == MEMORY for each in obstacle.short) else ""
    larger = speech.larger(needs)
    lower = f"ask for at most {has}, " if all(each.has for each in obstacle.short) else ""
    allow = "or allow a larger type" if lower else f"allow a type with {asked}"
    return Said(
        f"it asks for {asked}, and the nearest type that {name} allows, {obstacle.type}, has {has}{usable}",
        lower + allow + (f", such as {larger}" if larger else ""),
    )


def _bid_below(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    assert short.dimension == BID
    fact = f"a Spot {obstacle.type} costs {short.asked} % of the on-demand price, and {name} bids {short.has} %"
    command = _update(name, f"--compute-resources bidPercentage={short.asked}")
    return Said(fact, f"raise bidPercentage of {name} to {short.asked}", command)


def _machine_too_small(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    asked = measures.listed([measures.amount(each.dimension, each.asked) for each in obstacle.short])
    has = measures.listed([measures.amount(each.dimension, each.has) for each in obstacle.short])
    lend = "lend jobs more of the machine (settings vcpus, memory, gpus)"
    if obstacle.type:
        fact = (
            f"a {obstacle.type}, the smallest type of {name} that holds it, takes {asked}; the machine has {has} in all"
        )
        return Said(fact, f"allow a smaller type, or {lend}")
    return Said(f"it asks for {asked}, and the machine of {name} has {has} in all", f"ask for less, or {lend}")


def _reservation_below(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    fact = f"it asks for {measures.vcpus(short.asked)}, and what the queue's scheduling policy reserves leaves "
    return Said(f"{fact}{measures.vcpus(short.has)} for all shares together", "lower computeReservation")


def _reserved(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    fact = f"the queue's scheduling policy leaves {measures.vcpus(short.has)} now, and it asks for "
    fact += f"{measures.vcpus(short.asked)}: the rest is reserved for shares that are not active"
    return Said(fact, "wait for a job of the queue to end, or lower computeReservation")


def _supply_below(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    resource = speech.resource(obstacle.resource)
    fact = f"it asks for {short.asked:,} of consumable resource {resource}, and there are {short.has:,} in all"
    command = f"aws batch update-consumable-resource --consumable-resource {resource} --operation ADD "
    lacking = short.asked - short.has
    return Said(fact, f"add {lacking:,} to {resource}, or ask for less", f"{command}--quantity {lacking}")


def _supply_held(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    resource = speech.resource(obstacle.resource)
    available = f"{short.has:,} {'is' if short.has == 1 else 'are'} available"
    fact = f"it asks for {short.asked:,} of consumable resource {resource}, of which {available}"
    command = f"aws batch list-jobs-by-consumable-resource --consumable-resource {resource}"
    return Said(fact, f"wait for jobs that hold some of {resource} to end, or add some", command)


def _booting(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    wait = measures.span((obstacle.until_ms or 0) - speech.now_ms)
    return Said(f"an instance for it ({obstacle.type} in {name}) boots and is ready in {wait}", "")


def _reclaimed(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    wait_ms = (obstacle.until_ms or 0) - speech.now_ms
    when = f"in {measures.span(wait_ms)}" if wait_ms > 0 else "as soon as its jobs are dead"
    return Said(f"Spot capacity on the machine of {name} makes room for it and is reclaimed {when}", "")


def _at_maximum(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    (short,) = obstacle.short
    fact = f"{name} has {measures.vcpus(short.has)} left of its maxvCpus, and {measures.vcpus(short.asked)} are needed"
    return Said(fact, f"wait for jobs in {name} to end, or raise its maxvCpus")


def _room_held(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    asked = measures.listed([measures.amount(each.dimension, each.asked) for each in obstacle.short])
    has = measures.listed([measures.amount(each.dimension, each.has) for each in obstacle.short])
    for_what = f" for a {obstacle.type}" if obstacle.type else ""
    held = [f"{speech.name(each.environment)} holds {measures.needs(each.holds)}" for each in obstacle.holders]
    more = len(held) - HOLDERS_TOLD
    held = held[:HOLDERS_TOLD] + ([f"{measures.count(more, 'other')} the rest"] if more > 0 else [])
    fact = f"{asked} are needed{for_what} and the machine of {name} has {has} free"
    return Said(fact + (f" ({'; '.join(held)})" if held else ""), "wait for jobs there to end")


def _turn(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said("nothing is in the way but those who go first", "")


def _undetermined(speech: Speech, name: str, obstacle: Obstacle, needs: Needs) -> Said:
    return Said("nobody can say why", "report it, please: this is a fault of Batchyard")


def _raise(name: str, cpu_milli: int) -> str:
    return f"raise maxvCpus of {name} to {-(-cpu_milli // 1000)}"


def _update_maximum(name: str, cpu_milli: int) -> str:
    return _update(name, f"--compute-resources maxvCpus={-(-cpu_milli // 1000)}")


def _update(name: str, change: str) -> str:
    return f"aws batch update-compute-environment --compute-environment {name} {change}"


_SAYS: dict[Kind, Callable[[Speech, str, Obstacle, Needs], Said]] = {
    Kind.LEAVING: _leaving,
    Kind.DISABLED: _disabled,
    Kind.NO_MACHINE: _no_machine,
    Kind.NO_NODES: _no_nodes,
    Kind.MAXIMUM_BELOW: _maximum_below,
    Kind.NO_TYPE: _no_type,
    Kind.TYPE_ABOVE_MAXIMUM: _type_above_maximum,
    Kind.BID_BELOW: _bid_below,
    Kind.MACHINE_TOO_SMALL: _machine_too_small,
    Kind.RESERVATION_BELOW: _reservation_below,
    Kind.RESERVED: _reserved,
    Kind.SUPPLY_BELOW: _supply_below,
    Kind.SUPPLY_HELD: _supply_held,
    Kind.BOOTING: _booting,
    Kind.RECLAIMED: _reclaimed,
    Kind.AT_MAXIMUM: _at_maximum,
    Kind.ROOM_HELD: _room_held,
    Kind.TURN: _turn,
    Kind.UNDETERMINED: _undetermined,
}


def short_place(speech: Speech, place: PlaceVerdict, needs: Needs) -> str:
    """What a table says of an environment."""
    said: Sequence[Said] = in_place(speech, place, needs)
    return "; ".join(each.fact for each in said) or "nothing is in the way but those who go first"
