"""How a pretended task of several containers goes: each obeys its own command, and they wait on each other.

As ``pretend.fate``, a function of the record alone. Who may start and what decides is asked of the very rules that
containers go by (``runner/containers/sequence.py``); only time is ours, which goes from one happening to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchyard.executors.pretend_program import USAGE_ERROR, Pretence, parse, refusal
from batchyard.executors.runner.containers import sequence
from batchyard.executors.runner.containers.sequence import Plan, Stand
from batchyard.model import tasks

SIGNALLED = 128
SIGKILL, SIGTERM = 9, 15
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"

_NEVER = 1 << 62


class Orders(NamedTuple):
    """What is told to all of them, and when: times, in ms; None: never. `kill_ms`: if sooner than grace times end."""

    began_ms: int
    timeout_ms: int | None
    grace_ms: int
    stop_ms: int | None
    kill_ms: int | None


def asked(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the record keeps of the containers of a task."""
    return [
        {
            "name": each["name"],
            "command": list(each.get("command") or ()),
            "memory_mib": next((int(r["value"]) for r in each["resourceRequirements"] if r["type"] == "MEMORY"), 0),
            "essential": tasks.is_essential(each),
            "depends_on": [[on["containerName"], on["condition"]] for on in each.get("dependsOn") or ()],
            "start_timeout_ms": each["startTimeout"] * 1000 if "startTimeout" in each else None,
            "stop_timeout_ms": each["stopTimeout"] * 1000 if "stopTimeout" in each else None,
        }
        for each in task["containers"]
    ]


@dataclass
class _Container:
    """A container on its way; `ends` is when and how it ends if nothing more is told to it."""

    told: dict[str, Any]
    pretence: Pretence | None = None
    started_ms: int | None = None
    ends: tuple[int, int] = (_NEVER, 0)  # ms, exit code
    ended: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    told_to_stop: bool = False

    @property
    def stand(self) -> Stand:
        return Stand(self.started_ms is not None, self.started_ms, self.ended, self.exit_code)

    def start(self, now_ms: int) -> None:
        self.started_ms = now_ms
        try:
            self.pretence = parse(self.told["command"][1:])
        except ValueError:
            self.ends = now_ms, USAGE_ERROR
            return
        signal = self.pretence.signal
        self.ends = now_ms + self.pretence.run_ms, SIGNALLED + signal if signal else self.pretence.exit
        if self.pretence.memory_mib > self.told["memory_mib"] > 0:
            self.ends, self.reason = (now_ms, SIGNALLED + SIGKILL), OUT_OF_MEMORY

    def stop(self, now_ms: int, kill_ms: int) -> None:
        self.told_to_stop = True
        stubborn = self.pretence is not None and self.pretence.ignore_term or kill_ms <= now_ms
        self.ends = min(self.ends, (kill_ms, SIGNALLED + SIGKILL) if stubborn else (now_ms, SIGNALLED + SIGTERM))


class Play:
    """The whole of it, from the first container to the last."""

    def __init__(self, containers: list[dict[str, Any]], orders: Orders):
        self._orders = orders
        self._plans = [
            Plan(each["name"], each["essential"], tuple(map(tuple, each["depends_on"])), each["start_timeout_ms"])
            for each in containers
        ]
        self._each = {each["name"]: _Container(each) for each in containers}
        self._now_ms = orders.began_ms
        self._over = 0  # how many have ended
        self._last_ms = orders.began_ms  # when the last one did
        self.timed_out = self._stopping = False
        self.began_ms: int | None = None
        while self._goes_on():
            self._now_ms = self._next_ms()

    def _stands(self) -> dict[str, Stand]:
        return {name: each.stand for name, each in self._each.items()}

    def _goes_on(self) -> bool:
        """All that happens at this time; False once every container is over."""
        while self._step():
            pass
        return self._over < len(self._each)

    def _step(self) -> bool:
        """Whether anything changed."""
        due = [name for name, each in self._each.items() if each.ended is None and each.ends[0] <= self._now_ms]
        for name in sorted(due, key=lambda name: self._each[name].ends):
            self._end(name, self._each[name].ends[1])
        stands = self._stands()
        if self.began_ms is None:
            self.began_ms = sequence.started_ms(self._plans, stands)
        if self._stopping or sequence.is_over(self._plans, stands):
            return bool(self._wind_down(stands)) or bool(due)
        if self._start(stands) or due:
            return True
        return self._is_stopping()  # told at the same time, it was told after what had begun

    def _start(self, stands: dict[str, Stand]) -> bool:
        """Start who may; whether anybody does, or is found never to."""
        hopeless = sequence.hopeless(self._plans, stands, self._now_ms)
        for name, why in hopeless.items():
            self._each[name].reason = f"CannotStartContainerError: {why}"
            self._end(name, None)
        starting = [] if hopeless else sequence.may_start(self._plans, stands)
        for name in starting:
            code, error = refusal(self._each[name].told["command"])
            if error is None:
                self._each[name].start(self._now_ms)
            else:
                self._each[name].reason = f"CannotStartContainerError: {error}"
                self._end(name, code)
        return bool(hopeless or starting)

    def _is_stopping(self) -> bool:
        """Whether it was told to end, or ran for too long."""
        timeout_ms, stop_ms = self._orders.timeout_ms, self._orders.stop_ms
        late = timeout_ms is not None and self.began_ms is not None and self._now_ms >= self.began_ms + timeout_ms
        if late and not self._stopping:
            self.timed_out = True
        self._stopping = self._stopping or late or (stop_ms is not None and self._now_ms >= stop_ms)
        return self._stopping

    def _wind_down(self, stands: dict[str, Stand]) -> list[str]:
        """Nothing more starts; what runs is told to stop, those first that no other depends on."""
        changed = [name for name, each in self._each.items() if each.started_ms is None and each.ended is None]
        for name in changed:
            self._end(name, None)
        for name in sequence.may_stop(self._plans, stands):
            each = self._each[name]
            if not each.told_to_stop:
                each.stop(self._now_ms, self._kill_ms(each))
                changed.append(name)
        return changed

    def _kill_ms(self, container: _Container) -> int:
        own = container.told["stop_timeout_ms"]
        at_ms = self._now_ms + (self._orders.grace_ms if own is None else own)
        told_ms = self._orders.kill_ms
        return at_ms if told_ms is None else max(self._now_ms, min(at_ms, told_ms))

    def _end(self, name: str, exit_code: int | None) -> None:
        self._over += 1
        self._each[name].ended, self._each[name].exit_code = self._over, exit_code
        self._last_ms = self._now_ms

    def _next_ms(self) -> int:
        """When something happens next: an end, a stop, a timeout of the task or of a wait."""
        orders = self._orders
        times = [each.ends[0] for each in self._each.values() if each.ended is None and each.started_ms is not None]
        times += [orders.stop_ms or 0, orders.kill_ms or 0]
        times += [self.began_ms + orders.timeout_ms] if None not in (self.began_ms, orders.timeout_ms) else []
        times += [
            self._each[plan.name].started_ms + plan.start_timeout_ms
            for plan in self._plans
            if plan.start_timeout_ms is not None and self._each[plan.name].started_ms is not None
        ]
        return min(at_ms for at_ms in times if at_ms > self._now_ms)

    def record(self) -> dict[str, Any]:
        """As the exit record of a real one, with when each container started."""
        decisive = self._each[sequence.decisive(self._plans, self._stands())]
        memory = [each.pretence.memory_mib for each in self._each.values() if each.pretence is not None]
        return {
            "started_ms": self.began_ms,
            "stopped_ms": self._last_ms,
            "start_error": None,
            "not_started": decisive.reason if self.began_ms is None else None,
            "exit_code": decisive.exit_code,
            "signal": None,
            "oom": decisive.reason == OUT_OF_MEMORY,
            "timed_out": self.timed_out,
            "peak_memory_bytes": sum(memory) << 20 if memory else None,
            "cpu_ms": 0,
            "containers": [
                {
                    "name": name,
                    "exit_code": each.exit_code,
                    "reason": each.reason,
                    "started_ms": each.started_ms,
                }
                for name, each in self._each.items()
            ],
        }
