"""The states and the moves between them, drawn from the tables of ``model/states.py``."""

from __future__ import annotations

from collections.abc import Mapping

from batchyard.model import states
from reference import text


def page() -> str:
    return text.page(
        "States",
        """These pictures are the tables of [`model/states.py`](../../src/batchyard/model/states.py), drawn. The
scheduler checks every move against them; a move that is not drawn raises `IllegalMove`, and there is no other way to
write a state.""",
        "## A job, or a child of an array",
        text.picture("mermaid", diagram(states.JOB_MOVES)),
        """- SUBMITTED: on disk, not yet seen by the scheduler. It lasts a turn of the engine, milliseconds.
- PENDING: it waits for other jobs.
- RUNNABLE: it waits for room in one of its queue's compute environments, or for its next attempt.
- STARTING: an attempt has been ordered. Back to RUNNABLE: the attempt ended or was lost before it ran, and is retried.
- RUNNING: the process runs. Back to RUNNABLE: the attempt failed and another one follows.
- SUCCEEDED and FAILED are final.""",
        "## An array",
        text.picture("mermaid", diagram(states.PARENT_MOVES)),
        """The parent of an array waits in PENDING until its last child is final: SUCCEEDED if all children are, else
FAILED.""",
        "## A compute environment or job queue",
        text.picture("mermaid", diagram(states.PLACE_MOVES)),
        """- VALID: it is there. Whether it is ENABLED is its owner's switch and no state of this kind.
- UPDATING, of environments: instances that a change of `computeResources` replaces still run jobs. New jobs run, too.
- INVALID, of environments: nothing can run there as things are; `statusReason` says why. Queues try their next one.
- DELETING: its deletion was asked for. A queue's jobs are being ended; what runs in an environment goes on to its end.
- DELETED: nothing of it lives. No call knows it any more and its name is free; old jobs still show its ARN.""",
    )


def diagram(moves: Mapping[int, frozenset[int]] | Mapping[str, frozenset[str]]) -> str:
    """A Mermaid state diagram of a table of legal moves, in the order of the table."""
    first, *_ = map(_named, moves)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    for before, afterwards in moves.items():
        lines += [f"    {_named(before)} --> {_named(after)}" for after in sorted(afterwards)]
        if not afterwards:
            lines.append(f"    {_named(before)} --> [*]")
    return "\n".join(lines)


def _named(state: int | str) -> str:
    return states.NAMES[state] if isinstance(state, int) else state
