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
    )


def diagram(moves: Mapping[int, frozenset[int]]) -> str:
    """A Mermaid state diagram of a table of legal moves, in the order of the states' numbers."""
    lines = ["stateDiagram-v2", f"    [*] --> {states.NAMES[min(moves)]}"]
    for before in sorted(moves):
        lines += [f"    {states.NAMES[before]} --> {states.NAMES[after]}" for after in sorted(moves[before])]
        if not moves[before]:
            lines.append(f"    {states.NAMES[before]} --> [*]")
    return "\n".join(lines)
