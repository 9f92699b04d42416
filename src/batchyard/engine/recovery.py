"""From rows to a running scheduler. What lives is asked of the executors afterwards, by the same survey that
follows every reconnection, so recovery is a path that runs every day."""

from __future__ import annotations

from batchyard.engine.inbox import Key
from batchyard.model.ids import attempt_id
from batchyard.ports import Snapshot
from batchyard.scheduler.scheduler import Scheduler


def recover(snapshot: Snapshot) -> tuple[Scheduler, dict[str, Key]]:
    """The scheduler as it was after its last commit, and the attempts that were open then."""
    scheduler = Scheduler()
    scheduler.restore(**snapshot._asdict())
    open_attempts = {
        attempt_id(held.submitted.uuid, opened.index, opened.number): (held.submitted.seq, opened.index, opened.number)
        for held in snapshot.jobs
        for opened in held.open_attempts
    }
    return scheduler, open_attempts
