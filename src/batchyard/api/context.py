"""What the operations are given: the adapters behind the ports, and the facts of one call."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batchyard.access.authenticate import Directory
from batchyard.admission.compiled import CompiledDefinition, compile_definition
from batchyard.admission.managed import Machines
from batchyard.api.beside import Beside
from batchyard.api.shifts import Shifts
from batchyard.config import Settings
from batchyard.describe.arns import Arns
from batchyard.describe.jobs import Words
from batchyard.describe.names import Names
from batchyard.ports import Clock, DefinitionRow, Intake, Reader
from batchyard.ports.grants import Grants
from batchyard.ports.journal import FollowerRow
from batchyard.ports.logs import LogStore
from batchyard.ports.upkeep import InstanceTypes, Upkeep

DEFINITIONS_KEPT = 2_000
INVOCATION_ID = "amz-sdk-invocation-id"


@dataclass
class Context:
    """All that outlives a call. `directory` knows the access keys; `wall_s` is wall time in seconds, by which
    signatures are judged; `mint` makes a new UUID in its usual text form; `metrics_token` lets read the metrics;
    `machines` knows the instance types; from `task_key` come the tokens of tasks, and `grants` gives them what they ask
    with these, `beside` the loop. `past` is a reader of its own for what is read in shifts beside the loop: who
    asks `reader` never waits for it."""

    settings: Settings
    intake: Intake
    reader: Reader
    past: Reader
    logs: LogStore
    directory: Directory
    clock: Clock
    wall_s: Callable[[], float]
    mint: Callable[[], str]
    upkeep: Upkeep
    metrics_token: str
    machines: Callable[[], Machines]
    catalogue: InstanceTypes
    task_key: bytes
    grants: Grants
    followers: Callable[[], list[FollowerRow]] = list  # how those are who follow the journal
    shifts: Shifts = field(default_factory=Shifts)
    beside: Beside = field(default_factory=lambda: Beside("grants"))
    names: Names = field(init=False)
    definitions: Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.reader)
        self.definitions = Definitions()

    def tags(self, number: int, body: dict[str, Any]) -> dict[str, str]:
        """The tags, as they are now, of the environment, queue, definition or job with this number and body."""
        changed = self.reader.changed_tags(number)
        return (body.get("tags") or {}) if changed is None else changed

    def words(self, call: Call) -> Words:
        """How rows are described to the caller."""
        return Words(call.arns, self.names)

    @property
    def vcpus(self) -> int:
        """vCPUs that jobs may hold together."""
        return self.settings.vcpus or os.cpu_count() or 1


class Definitions:
    """Definitions made ready for use; the last few thousand are kept."""

    def __init__(self) -> None:
        self._compiled: dict[int, CompiledDefinition] = {}

    def compiled(self, row: DefinitionRow) -> CompiledDefinition:
        """The definition of `row` as ``admission.jobs`` takes it."""
        found = self._compiled.get(row.id)
        if found is None:
            if len(self._compiled) >= DEFINITIONS_KEPT:
                del self._compiled[next(iter(self._compiled))]
            found = self._compiled[row.id] = compile_definition(row.body, row.region)
        return found


@dataclass(slots=True)
class Call:
    """The facts of one call: stamped once, the same for everything it does."""

    request_id: str
    now_ms: int
    arns: Arns
    key_id: str
    headers: dict[str, str]
    body: bytes

    @property
    def region(self) -> str:
        return self.arns.region

    @property
    def idempotency(self) -> bytes | None:
        """What makes a repeated call the same one: SDKs send one invocation id with all tries of a call.

        None, and so never deduplicated, for callers that send no id.
        """
        invocation = self.headers.get(INVOCATION_ID)
        if not invocation:
            return None
        digest = hashlib.blake2b(digest_size=16, person=b"batchyard-submit")
        for part in (self.key_id.encode(), invocation.encode(), self.body):
            digest.update(len(part).to_bytes(4))
            digest.update(part)
        return digest.digest()
