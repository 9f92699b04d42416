"""The states of a job and the one table of legal moves between them.

A state is a small integer: array parents hold one byte a child, and rows store the same number. The order of
the numbers is the order of life; everything from SUCCEEDED on is terminal.
Source of the states: reference "Job life cycle" (SUBMITTED ... FAILED) and "Array jobs" (parents are never
RUNNABLE, STARTING or RUNNING).
"""

from __future__ import annotations

SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED, FAILED = range(7)

NAMES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
NUMBERS = {name: number for number, name in enumerate(NAMES)}

TERMINAL = frozenset({SUCCEEDED, FAILED})

# from -> the states it may move to. SUBMITTED is "asked for, not yet seen by the scheduler".
JOB_MOVES: dict[int, frozenset[int]] = {
    SUBMITTED: frozenset({PENDING, RUNNABLE, FAILED}),
    PENDING: frozenset({RUNNABLE, FAILED}),
    RUNNABLE: frozenset({STARTING, FAILED}),
    STARTING: frozenset({RUNNING, RUNNABLE, SUCCEEDED, FAILED}),
    RUNNING: frozenset({RUNNABLE, SUCCEEDED, FAILED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
}

# An array parent waits in PENDING until every child is terminal.
PARENT_MOVES: dict[int, frozenset[int]] = {
    SUBMITTED: frozenset({PENDING, FAILED}),
    PENDING: frozenset({SUCCEEDED, FAILED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
}

# A node of a multi-node job goes its own way while the job runs; when the job is tried again, so is the node.
NODE_MOVES: dict[int, frozenset[int]] = JOB_MOVES | {
    SUCCEEDED: frozenset({RUNNABLE}),
    FAILED: frozenset({RUNNABLE}),
}

# The status of a compute environment or job queue. Nothing has to be provisioned, so a new one is VALID at once; one
# that is DELETING goes when nothing that lives is left of it, and then it is known no longer. Only environments are
# UPDATING, while instances are replaced, or INVALID, while nothing can run in them; which one is told by rows.
VALID, UPDATING, INVALID, DELETING, DELETED = "VALID", "UPDATING", "INVALID", "DELETING", "DELETED"
PLACE_MOVES: dict[str, frozenset[str]] = {
    VALID: frozenset({UPDATING, INVALID, DELETING}),
    UPDATING: frozenset({VALID, INVALID, DELETING}),
    INVALID: frozenset({VALID, UPDATING, DELETING}),
    DELETING: frozenset({DELETED}),
    DELETED: frozenset(),
}


class IllegalMove(Exception):
    """A job was asked to make a move that the tables do not allow: a bug in the scheduler, never a user's fault."""

    def __init__(self, what: str, before: int, after: int):
        super().__init__(f"{what}: no move from {NAMES[before]} to {NAMES[after]}")


def check_job_move(what: str, before: int, after: int) -> None:
    """Raise IllegalMove unless a job (single, or array child) named `what` may go from `before` to `after`."""
    if after not in JOB_MOVES[before]:
        raise IllegalMove(what, before, after)


def check_node_move(what: str, before: int, after: int) -> None:
    """Raise IllegalMove unless the node `what` may go from `before` to `after`."""
    if after not in NODE_MOVES[before]:
        raise IllegalMove(what, before, after)


def check_parent_move(what: str, before: int, after: int) -> None:
    """Raise IllegalMove unless the array parent `what` may go from `before` to `after`."""
    if after not in PARENT_MOVES.get(before, frozenset()):
        raise IllegalMove(what, before, after)
