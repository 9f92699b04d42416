"""Events in EventBridge's form (reference "Events and integrations"): of every move of a job, and of blocked queues.

There is one for each state that a single job, an array or a child of it enters, SUBMITTED excepted. Its `detail` is the
job as DescribeJobs showed it right then, with the pseudo tag `resourceArn` that AWS adds. When a queue is blocked, one
tells of the job at its head, and names both. Ids are derived: an event that is told twice has the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from batchyard.describe.arns import Arns
from batchyard.describe.jobs import Words, detail
from batchyard.describe.names import Names
from batchyard.model import ids
from batchyard.ports import Standing
from batchyard.ports.journal import Entry, Past

SOURCE = "aws.batch"
MOVED, BLOCKED = "Batch Job State Change", "Batch Job Queue Blocked"


class StateChange(NamedTuple):
    """An event, ready to be handed over."""

    id: str
    type: str  # MOVED or BLOCKED
    job: tuple[int, int]  # number and index: events of one job are handed over in order
    arns: list[str]  # of the job; of the queue that it blocks
    at_ms: int
    detail: bytes  # JSON
    whole: bytes  # the whole event as JSON, in one line


class _Event(msgspec.Struct):
    version: str
    id: str
    detail_type: str = msgspec.field(name="detail-type")
    source: str
    account: str
    time: str
    region: str
    resources: list[str]
    detail: msgspec.Raw


class Teller:
    """Makes events of entries of the journal. For one thread."""

    def __init__(self, past: Past, names: Names, account: str):
        self._past = past
        self._names = names
        self._account = account
        self._encode = msgspec.json.Encoder().encode

    def changes(self, entry: Entry) -> Iterator[StateChange]:
        """The events of an entry, always the same ones in the same order. Raises Forgotten."""
        for standing in self._past.standings(entry):
            yield self._change(entry, standing)

    def _change(self, entry: Entry, standing: Standing) -> StateChange:
        row = standing.row
        shown = detail(Words(Arns(self._account, row.region), self._names), standing)
        kind, arns = MOVED, [str(shown.jobArn)]
        if entry.kind == "blocked":
            kind, arns = BLOCKED, [*arns, str(shown.jobQueue)]
        else:
            shown.tags = {"resourceArn": shown.jobArn} | standing.tags
        encoded = self._encode(shown)
        event = _Event(
            version="0",
            id=event_id(ids.job_id(row.uuid, row.index), entry.n, entry.at_ms),
            detail_type=kind,
            source=SOURCE,
            account=self._account,
            time=_second(entry.at_ms // 1000),
            region=row.region,
            resources=arns,
            detail=msgspec.Raw(encoded),
        )
        job = (row.seq, row.index)
        return StateChange(event.id, kind, job, arns, entry.at_ms, encoded, self._encode(event))


def event_id(job_id: str, n: int, at_ms: int) -> str:
    """A UUID that is the same whenever the event is told, and another for every event.

    Job ids are unique everywhere. The time tells events apart whose numbers were given out twice, as it happens after
    an older backup was restored.
    """
    digits = hashlib.blake2b(f"{job_id} {n} {at_ms}".encode(), digest_size=16, person=b"batchyard-event").hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@lru_cache(64)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
