"""The operators of a storm: they change, delete and make queues and environments while jobs come and run.

The first environment stays enabled and every queue names it, so that all can come to an end. A call that was not
answered is made again later, with another key, and finds what became of the first.
"""

from __future__ import annotations

import random

from batchyard.errors import ApiError, ClientError
from batchyard.model.consumables import ADD, REMOVE, SET, ConsumableChange, NewConsumable
from batchyard.model.environments import (
    BEST_FIT_PROGRESSIVE,
    EC2,
    SPOT,
    SPOT_CAPACITY_OPTIMIZED,
    Capacity,
    InstanceType,
)
from batchyard.model.jobs import (
    TERMINATE,
    Deletion,
    EnvironmentChange,
    Interruption,
    NewEnvironment,
    NewQueue,
    QueueChange,
)
from batchyard.model.needs import Needs
from batchyard.model.shares import NewPolicy, PolicyChange, SharePolicy
from tests.storm.callers import REGION, TOKENS, AskedStop, Callers

QUEUE_DELETED = "JobQueue deleted"
PLENTY = 10**6
TYPES = tuple(InstanceType(f"t{n}", Needs(n * 1000, 2048 * n), 2000 * n, 100 * n, 30 * n, n % 5) for n in (1, 2, 4))


class Operators:
    def __init__(self, rng: random.Random, clock, callers: Callers):
        self.rng = rng
        self.clock = clock
        self.callers = callers
        self.environments: list[int] = []  # by number; the first one stays
        self.names: dict[int, str] = {}
        self.policies: dict[str, int] = {}
        self.deleted: set[int] = set()  # queues and environments whose deletion was acknowledged
        self.made = 0
        self.supplied = False  # there is enough of everything for whoever waits
        self.capacities: dict[int, Capacity] = {}  # of managed environments

    async def act(self, intake) -> None:
        acts = [self._reorder, self._switch, self._delete_queue, self._come_and_go, self._weigh, self._interrupt]
        if self.callers.asking and self.rng.random() < 0.4:
            act = self._supply
        else:
            act = self.rng.choice([*acts, self._rebuild] if self.capacities else acts)
        try:
            await act(intake)
        except ApiError:
            return

    def _call(self, **given):
        return {"region": REGION, "at_ms": self.clock.now_ms(), "idempotency": self.rng.randbytes(16)} | given

    def _queue(self) -> int:
        return self.rng.choice(self.callers.queues)

    async def _supply(self, intake) -> None:
        """A resource comes, becomes more or less, or goes, whoever has or wants some of it."""
        rng, call = self.rng, self._call(name=TOKENS)
        kind = rng.choice(["create", "create", "delete", SET, ADD, REMOVE])
        if kind == "create":
            lasts, total = rng.random() < 0.5, rng.randrange(5)
            new = NewConsumable(REGION, TOKENS, lasts, total, b"{}", call["at_ms"], call["idempotency"])
            await intake.create_consumable(new)
        elif kind == "delete":
            await intake.delete_consumable(Deletion(**call))
        else:
            await intake.update_consumable(ConsumableChange(**call, operation=kind, quantity=rng.randrange(4)))

    async def supply_all(self, intake) -> None:
        """Whoever still waits gets what it asks for: licences, and what was reserved for others."""
        call = self._call(name=TOKENS)
        try:
            await intake.create_consumable(NewConsumable(REGION, TOKENS, True, PLENTY, b"{}", call["at_ms"]))
        except ClientError:
            pass  # it exists
        await intake.update_consumable(ConsumableChange(**call, operation=SET, quantity=PLENTY))
        self.supplied = True
        for name in self.policies:
            await intake.update_policy(PolicyChange(value=self._policy(), members={}, **self._call(name=name)))

    async def _reorder(self, intake) -> None:
        """Another priority, or the environments in another order."""
        rng, queue = self.rng, self._queue()
        order = rng.sample(self.environments, rng.randrange(1, len(self.environments) + 1))
        given = {"priority": rng.randrange(3)}
        if rng.random() < 0.5:
            given = {"environments": tuple(dict.fromkeys([*order, self.environments[0]]))}
        await intake.update_queue(QueueChange(**self._call(name=self.names[queue], **given)))

    async def _switch(self, intake) -> None:
        """An environment but the first one is enabled or disabled."""
        for number in self.environments[1:]:
            change = self._call(name=self.names[number], enabled=self.rng.random() < 0.5)
            await intake.update_environment(EnvironmentChange(**change))

    async def _rebuild(self, intake) -> None:
        """A managed environment is to have other bounds, types or another kind of them. What fits the machine fits
        there afterwards, too."""
        rng, number = self.rng, self.rng.choice(list(self.capacities))
        before = self.capacities[number]
        most = before.max_cpu_milli
        changed = before._replace(max_cpu_milli=rng.choice([most, most, most * 2]), desired_cpu_milli=0)
        if not before.fargate:
            kind = rng.choice([before.kind, EC2, SPOT])
            kind = kind if self.callers.gangs is None else EC2  # nowhere else do multi-node jobs run
            changed = changed._replace(
                kind=kind,
                strategy=SPOT_CAPACITY_OPTIMIZED if kind == SPOT else BEST_FIT_PROGRESSIVE,
                types=tuple(rng.sample(TYPES, rng.randrange(1, len(TYPES) + 1))),
                desired_cpu_milli=rng.choice([0, 0, 2000]),
                linger_ms=rng.choice([None, 1, 500]),
                update_ms=rng.choice([0, 100, 2000, 10**6]),
            )
        call = self._call(name=self.names[number], members={"capacity": changed})
        await intake.update_environment(EnvironmentChange(**call))

    def _policy(self) -> SharePolicy:
        """Something may be reserved for shares that are not there, until everybody gets what it asks for: a job may
        need the whole machine."""
        rng = self.rng
        weights = rng.choice([(), (("a", 5000),), (("a*", 20_000), ("b", 2500))])
        reserved = 0 if self.supplied else rng.choice([0, 0, 25, 60])
        return SharePolicy(rng.choice([0, 0, 3600]), reserved, weights)

    async def make_policy(self, intake) -> int | None:
        """A scheduling policy for a new queue, or none."""
        if self.rng.random() < 0.5:
            return None
        call = self._call()
        name = f"p{len(self.policies)}"
        new = NewPolicy(REGION, name, self._policy(), b"{}", call["at_ms"], call["idempotency"])
        self.policies[name] = await intake.create_policy(new)
        return self.policies[name]

    async def _weigh(self, intake) -> None:
        """A policy changes, or a queue goes by another one."""
        if not self.policies:
            return
        name, queue = self.rng.choice(list(self.policies)), self._queue()
        if queue in self.callers.fair and self.rng.random() < 0.5:
            await intake.update_queue(QueueChange(**self._call(name=self.names[queue], policy=self.policies[name])))
        await intake.update_policy(PolicyChange(value=self._policy(), members={}, **self._call(name=name)))

    async def _interrupt(self, intake) -> None:
        """All that an environment holds, if it is Spot."""
        await intake.interrupt(Interruption(self.rng.choice(self.environments), self.clock.now_ms()))

    async def _delete_queue(self, intake) -> None:
        """As the guide says it: disable, delete; then another one in its place."""
        queue = self._queue()
        stop = AskedStop(TERMINATE, QUEUE_DELETED)
        await intake.update_queue(QueueChange(**self._call(name=self.names[queue], enabled=False)))
        self.callers.queue_stops.setdefault(queue, []).append(stop)  # it may be stored though nobody hears of it
        if await intake.delete_queue(Deletion(**self._call(name=self.names[queue]))):
            stop.acknowledged_ms = self.clock.now_ms()
            self.deleted.add(queue)
        self.made += 1
        name, places = f"again{self.made}", (self.environments[0],)
        call = self._call()
        policy = await self.make_policy(intake)
        body = self.callers.queue_body
        new = NewQueue(REGION, name, 1, True, places, body, call["at_ms"], call["idempotency"], policy)
        number = await intake.create_queue(new)
        self.callers.fair |= {number} if policy else set()
        self.names[number] = name
        self.callers.queues = [number if each == queue else each for each in self.callers.queues]

    async def _come_and_go(self, intake) -> None:
        """An environment is made, used by a queue, left by it, and deleted while jobs may still run in it."""
        self.made += 1
        name, queue = f"brief{self.made}", self._queue()
        call = self._call()
        new = NewEnvironment(REGION, name, f"uuid-{name}", "UNMANAGED", "local", True, b"{}", call["at_ms"])
        number = await intake.create_environment(new._replace(idempotency=call["idempotency"]))
        for order in ((number, self.environments[0]), (self.environments[0],)):
            await intake.update_queue(QueueChange(**self._call(name=self.names[queue], environments=order)))
        await intake.update_environment(EnvironmentChange(**self._call(name=name, enabled=False)))
        if await intake.delete_environment(Deletion(**self._call(name=name))):
            self.deleted.add(number)

    def judge(self, reader) -> None:
        """What was acknowledged as to be deleted is gone when nothing runs any more, and only that."""
        for number in self.deleted:
            row = reader.queue_by_id(number) or reader.environment_by_id(number)
            assert row.status == "DELETED", f"{row.name} is {row.status} at the end, and its deletion was acknowledged"
            assert reader.queue(REGION, row.name) is reader.environment(REGION, row.name) is None
