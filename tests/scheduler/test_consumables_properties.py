"""Random askers against the rule as one reads it: a few lines that know nothing of heaps and who stands where."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.world import Handle, World


class Spec:
    """One queue on one machine, single jobs: who starts next by the rule of docs/decisions."""

    def __init__(self, vcpus: int):
        self.vcpus = vcpus
        self.totals: dict[int, int] = {}
        self.held: dict[int, int] = {}
        self.waiting: list[tuple[tuple[int, int], int, dict[int, int]]] = []  # (front, seq), vcpus, what it asks for
        self.running: dict[int, tuple[int, dict[int, int]]] = {}

    def submit(self, seq: int, vcpus: int, asks: dict[int, int], front: int = 1) -> None:
        self.waiting.append(((front, seq), vcpus, asks))
        self.waiting.sort(key=lambda each: each[0])

    def end(self, seq: int) -> None:
        vcpus, asks = self.running.pop(seq)
        self.vcpus += vcpus
        for number, quantity in asks.items():
            self.held[number] -= quantity

    def settle(self) -> list[int]:
        started = []
        while (entry := self._next()) is not None and entry[1] <= self.vcpus:
            self.waiting.remove(entry)
            (_, seq), vcpus, asks = entry
            started.append(seq)
            self.running[seq] = (vcpus, asks)
            self.vcpus -= vcpus
            for number, quantity in asks.items():
                self.held[number] = self.held.get(number, 0) + quantity
        return started

    def _next(self):
        """The first that does not wait for resources."""
        kept: set[int] = set()
        for entry in self.waiting:
            asks = entry[2]
            if any(quantity > self.totals.get(number, 0) for number, quantity in asks.items()):
                continue
            free = all(q <= self.totals[number] - self.held.get(number, 0) for number, q in asks.items())
            if free and not kept & asks.keys():
                return entry
            kept |= asks.keys()
        return None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.data())
def test_who_starts_and_in_what_order_is_as_the_rule_says(data):
    draw, world = data.draw, World(vcpus=4, twins=True)
    queue, spec = world.queue(), Spec(4)
    resources = [world.resource(0) for _ in range(3)]
    for _ in range(draw(st.integers(5, 40))):
        kind = draw(st.integers(0, 9))
        if kind <= 4:
            wanted = draw(st.lists(st.sampled_from(resources), max_size=3, unique=True))
            asks = {number: draw(st.integers(1, 3)) for number in wanted}
            vcpus, attempts = draw(st.integers(1, 4)), draw(st.integers(1, 2))
            job = world.submit(queue, vcpus=vcpus, attempts=attempts, asks=asks)
            spec.submit(job.seq, vcpus, asks)
        elif kind <= 6 and world.running:
            job = Handle(*draw(st.sampled_from(sorted(world.running))))
            retried, (vcpus, asks) = world.running[job] < world.submitted[job.seq].retry.attempts, spec.running[job.seq]
            world.exits(job, 1)
            spec.end(job.seq)
            if retried:
                spec.submit(job.seq, vcpus, asks, front=0)
        elif kind == 7:
            number, total = draw(st.sampled_from(resources)), draw(st.integers(0, 5))
            world.set_total(number, total)
            spec.totals[number] = total
        elif kind == 8 and spec.waiting:
            entry = draw(st.sampled_from(spec.waiting))
            world.cancel(Handle(entry[0][1]))
            spec.waiting.remove(entry)
        elif kind == 9:
            world.restart()
        before = len(world.started)
        world.settle()
        assert [job.seq for job in world.started[before:]] == spec.settle()
