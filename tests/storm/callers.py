"""The callers of a storm: they submit, cancel and terminate, do not always hear the answer, and then try again.

A submission is tried with one key, as SDKs try a call with one invocation id; every try has a UUID of its own, since
it is the api that mints them. Some callers give up; what they asked for may have been stored all the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec

from batchyard.errors import ApiError
from batchyard.model.blocked import CANCELED, CAPACITY, LIMITED, TEXTS
from batchyard.model.ids import NODES, WHOLE
from batchyard.model.jobs import (
    AFTER,
    CANCEL,
    N_TO_N,
    SEQUENTIAL,
    TERMINATE,
    AskedUpstream,
    NewJob,
    NodeGroup,
    Nodes,
    RetryPolicy,
    RetryRule,
    Wish,
)
from batchyard.model.needs import Needs

REGION = "us-east-1"
LICENCE, LICENCES = "licence", 2  # a consumable resource that nobody changes, and how much there is of it
TOKENS = "tokens"  # one that operators create, change and delete
BODY = b'{"container": {"image": "none", "command": ["true"]}, "parameters": {}}'
NODES_BODY = b'{"containers": [{"image": "none", "command": ["true"]}], "parameters": {}}'
RULES = (
    (),
    (),
    (RetryRule(False, on_exit_code="2"),),
    (RetryRule(False, on_exit_code="*"),),
    (RetryRule(True, on_exit_code="1*"), RetryRule(False, on_reason="*")),
    (RetryRule(True, on_status_reason="Host EC2*"), RetryRule(False, on_reason="*")),
    (RetryRule(False, on_exit_code="137", on_reason="OutOfMemory*"), RetryRule(True, on_exit_code="*")),
    (RetryRule(False, on_status_reason="Task failed to start"), RetryRule(False, on_status_reason="Host*")),
    (RetryRule(True, on_exit_code="13"), RetryRule(False, on_status_reason="Essential container in task exited")),
)


@dataclass(eq=False)
class Submission:
    """One call of SubmitJob with all its tries."""

    job: NewJob
    tries_left: int
    next_try: int  # tick
    uuids: list[str] = field(default_factory=list)  # one a try
    answers: set[str] = field(default_factory=set)


@dataclass(eq=False)
class AskedStop:
    """A wish to cancel or terminate, from when it was known to be stored; None: nobody heard."""

    kind: int
    reason: str
    acknowledged_ms: int | None = None


class Callers:
    def __init__(self, rng: random.Random, clock, vcpus: int):
        self.rng = rng
        self.clock = clock
        self.vcpus = vcpus
        self.gangs: random.Random | None = None  # chance of its own, where multi-node jobs are submitted
        self.queues: list[int] = []
        self.definition = 0
        self.fair: set[int] = set()  # queues with a scheduling policy
        self.submissions: list[Submission] = []
        self.open: list[Submission] = []  # who still wants an answer
        self.known: dict[str, NewJob] = {}  # answered
        self.stops: dict[tuple[str, int], list[AskedStop]] = {}
        self.queue_stops: dict[int, list[AskedStop]] = {}  # by queue: its deletion ends all of its jobs
        self.queue_of: dict[str, int] = {}  # of every try
        self.asks_of: dict[str, dict[str, int]] = {}  # likewise
        self.asking = rng.choice([0, 0.5])  # how many ask for consumable resources
        # How many jobs the machine could never hold; if any, every queue has limits for how long its head is blocked.
        self.impossible = rng.choice([0, 0, 0.1])
        actions = [
            {"reason": TEXTS[code], "state": "RUNNABLE", "maxTimeSeconds": rng.randrange(1, 4), "action": "CANCEL"}
            for code in LIMITED
        ]
        self.queue_body = msgspec.json.encode({"jobStateTimeLimitActions": actions} if self.impossible else {})

    # -- submitting -----------------------------------------------------------------------------------------------

    def begin(self, tick: int) -> None:
        """Somebody wants to submit a job."""
        tries = self.rng.choice([1, 3, 100])
        self.open.append(Submission(self._new_job(), tries, tick))
        self.submissions.append(self.open[-1])

    def due(self, tick: int) -> list[Submission]:
        """Who tries (again) now: no answer came in time, or the connection broke. An earlier try may still be open."""
        self.open = [each for each in self.open if not each.answers and each.tries_left > 0]
        return [each for each in self.open if each.next_try <= tick]

    async def submit(self, intake, submission: Submission, tick: int) -> None:
        rng = self.rng
        submission.tries_left -= 1
        submission.next_try = tick + rng.choice([1, 5, 40])
        submission.uuids.append(f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}")
        self.queue_of[submission.uuids[-1]] = submission.job.queue
        self.asks_of[submission.uuids[-1]] = dict(submission.job.consumables)
        job = submission.job._replace(uuid=submission.uuids[-1], created_ms=self.clock.now_ms())
        try:
            uuid = await intake.submit(job)
        except ApiError:
            return
        submission.answers.add(uuid)
        self.known[uuid] = submission.job

    def _new_job(self) -> NewJob:
        rng = self.rng
        size, queue = rng.choice([0, 0, 0, 2, 3, 7]), rng.choice(self.queues)
        job = NewJob(
            uuid="",
            region=REGION,
            name="job",
            queue=queue,
            definition=self.definition,
            created_ms=0,
            size=size,
            needs=Needs(self._vcpus() * 1000, rng.randrange(1, 4096)),
            retry=RetryPolicy(rng.choice([1, 1, 2, 3, 5]), rng.choice(RULES)),
            timeout_s=1 if rng.random() < 0.1 else None,
            upstreams=self._upstreams(size),
            body=BODY,
            idempotency=rng.randbytes(16),
            share=rng.choice(["a", "ab", "b", "c"]) if queue in self.fair else None,
            priority=rng.randrange(3) if queue in self.fair else 0,
            consumables=self._asks(),
        )
        return self._of_nodes(job) if self.gangs is not None and not size and self.gangs.random() < 0.5 else job

    def _of_nodes(self, job: NewJob) -> NewJob:
        """As a multi-node job that the machine can hold."""
        rng = self.gangs
        count = rng.randrange(1, min(self.vcpus, 4) + 1)
        needs = Needs(rng.randrange(1, self.vcpus // count + 1) * 1000, rng.randrange(1, 4096 // count))
        nodes = Nodes(rng.randrange(count), (NodeGroup(0, count, needs),))
        return job._replace(needs=needs, nodes=nodes, body=NODES_BODY)

    def _asks(self) -> tuple[tuple[str, int], ...]:
        rng = self.rng
        names = rng.sample((LICENCE, TOKENS), rng.choice([1, 1, 2])) if rng.random() < self.asking else ()
        return tuple((name, rng.randrange(1, LICENCES + 1)) for name in names)

    def licences_held(self, attempts) -> int:
        """What these attempts have of a resource that nobody changes; the nodes of a gang have theirs together."""
        holders = {(each.uuid, WHOLE if each.index >= NODES else each.index) for each in attempts}
        return sum(self.asks_of[uuid].get(LICENCE, 0) for uuid, _ in holders)

    def _vcpus(self) -> int:
        more = self.rng.randrange(1, 4) if self.rng.random() < self.impossible else 0
        return self.vcpus + more if more else self.rng.randrange(1, self.vcpus + 1)

    def limits_of(self, job: NewJob) -> set[str]:
        """What the job may say that was cancelled by a time limit."""
        if not self.impossible:
            return set()
        could = job.needs.cpu_milli <= self.vcpus * 1000
        codes = {CAPACITY} if could else set(LIMITED) - {CAPACITY}
        if job.queue in self.fair:  # what is reserved for other shares is out of its reach
            codes = set(LIMITED)
        return {CANCELED + TEXTS[code].partition("[")[0] for code in codes}

    def _upstreams(self, size: int) -> tuple[AskedUpstream, ...]:
        rng = self.rng
        known = list(self.known.items())[-10:]
        upstreams = []
        for uuid, upstream in rng.sample(known, min(len(known), rng.choice([0, 0, 1, 2]))):
            if size and upstream.size == size and rng.random() < 0.6:
                upstreams.append(AskedUpstream(uuid, WHOLE, N_TO_N))
            else:
                index = rng.randrange(upstream.size) if upstream.size and rng.random() < 0.3 else WHOLE
                upstreams.append(AskedUpstream(uuid, index, AFTER))
        if size and rng.random() < 0.15:
            upstreams.append(AskedUpstream(None, WHOLE, SEQUENTIAL))
        return tuple(upstreams)

    # -- cancelling and terminating -------------------------------------------------------------------------------

    async def wish(self, intake) -> None:
        rng = self.rng
        uuid, job = rng.choice(list(self.known.items())[-rng.choice([5, 20, 1000]) :])
        index = rng.randrange(job.size) if job.size and rng.random() < 0.5 else WHOLE
        asked = AskedStop(rng.choice([CANCEL, TERMINATE]), f"reason {rng.randrange(1000)}")
        # Noted before it is acknowledged: a wish that was stored may take effect though its caller heard nothing.
        self.stops.setdefault((uuid, index), []).append(asked)
        try:
            await intake.wish(Wish(uuid, index, asked.kind, asked.reason, self.clock.now_ms()))
        except ApiError:
            return
        asked.acknowledged_ms = self.clock.now_ms()

    def stops_of(self, uuid: str, index: int) -> list[AskedStop]:
        """What was asked of the job or child, the wishes for its whole array included."""
        of_whole = self.stops.get((uuid, WHOLE), []) if index != WHOLE else []
        return self.stops.get((uuid, index), []) + of_whole + self.queue_stops.get(self.queue_of[uuid], [])
