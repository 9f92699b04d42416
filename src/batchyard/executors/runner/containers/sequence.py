"""Who of a task's containers may start, who must stop, and what the outcome is. Pure.

Sources: reference "Multi-container jobs" (conditions, essential), and what ECS's agent does where that is silent: a
start timeout counts from the start of the container that is waited for, and containers stop in the reverse order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

START, COMPLETE, SUCCESS = "START", "COMPLETE", "SUCCESS"


class Plan(NamedTuple):
    """What was asked of one container."""

    name: str
    essential: bool = True
    depends_on: tuple[tuple[str, str], ...] = ()  # (name, condition)
    start_timeout_ms: int | None = None


class Stand(NamedTuple):
    """How it stands: it waits, is being made (`begun`), runs (`started_ms`), or is over (`ended`)."""

    begun: bool = False
    started_ms: int | None = None
    ended: int | None = None  # the how-manieth to end, from 1 on
    exit_code: int | None = None  # None: it never ran, or nobody knows

    @property
    def lives(self) -> bool:
        return self.begun and self.ended is None


Stands = Mapping[str, Stand]


def may_start(plans: Sequence[Plan], stands: Stands) -> list[str]:
    """Those that wait for nothing any more, in the order in which they are named."""
    return [
        plan.name
        for plan in plans
        if _waits(stands[plan.name]) and all(_is_met(stands[name], what) for name, what in plan.depends_on)
    ]


def hopeless(plans: Sequence[Plan], stands: Stands, now_ms: int) -> dict[str, str]:
    """Those that can never start, each with the reason."""
    by_name = {plan.name: plan for plan in plans}
    found = {}
    for plan in plans:
        if not _waits(stands[plan.name]):
            continue
        for name, what in plan.depends_on:
            failure = _failure(by_name[name], stands[name], what, now_ms)
            if failure:
                found[plan.name] = f"it depends on container {name} ({what}), which {failure}"
                break
    return found


def _waits(stand: Stand) -> bool:
    return not stand.begun and stand.ended is None


def _is_met(stand: Stand, condition: str) -> bool:
    if condition == START:
        return stand.started_ms is not None
    if stand.started_ms is None or stand.ended is None:
        return False
    return condition == COMPLETE or stand.exit_code == 0


def _failure(target: Plan, stand: Stand, condition: str, now_ms: int) -> str | None:
    """Why the condition can never be met, if so."""
    if _is_met(stand, condition):
        return None
    if stand.ended is not None:
        return "did not start" if stand.started_ms is None else f"ended with exit code {stand.exit_code}"
    late = target.start_timeout_ms is not None and stand.started_ms is not None and condition != START
    if late and now_ms - stand.started_ms >= target.start_timeout_ms:
        return f"was not over after {target.start_timeout_ms // 1000} s"
    return None


def is_over(plans: Sequence[Plan], stands: Stands) -> bool:
    """Whether what still lives must stop, and nothing more may start: the first essential container has ended."""
    return any(plan.essential and stands[plan.name].ended is not None for plan in plans)


def may_stop(plans: Sequence[Plan], stands: Stands) -> list[str]:
    """Of those that live, the ones that none of the living depends on: they go first."""
    needed = {name for plan in plans if stands[plan.name].lives for name, _ in plan.depends_on}
    return [plan.name for plan in plans if stands[plan.name].lives and plan.name not in needed]


def started_ms(plans: Sequence[Plan], stands: Stands) -> int | None:
    """When the task began to run: all its essential containers have started."""
    times = [stands[plan.name].started_ms for plan in plans if plan.essential]
    return None if not times or None in times else max(times)


def decisive(plans: Sequence[Plan], stands: Stands) -> str:
    """The container whose ending is the task's: the essential one that failed first, else the one that ended last."""
    ends = {plan.name: stands[plan.name].ended or 0 for plan in plans if plan.essential}
    failed = [name for name in ends if stands[name].exit_code != 0]
    return min(failed, key=lambda name: ends[name]) if failed else max(ends, key=lambda name: ends[name])
