"""Forms of ids, in one place. Nothing here is random: ids are minted in ``api`` or derived.

| id | form |
| --- | --- |
| job | UUID4; array child ``ID:index``; node of a multi-node job ``ID#number`` |
| attempt | ``JOBID.N``, ``JOBID:7.2`` is the second attempt of child 7; a main node's is that of its job |
| task id | 32 hex digits derived from the attempt id |
| instance | ``i-`` and 17 hex digits, derived |

Inside the house a job is its number (``seq``, given by the store on arrival) and an index: -1 for a single job
or an array parent, 0..size-1 for a child, NODES + number for a node. The main node of a multi-node job is the job
itself to all that decides and stores (index WHOLE); only callers know it as node, too.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

WHOLE = -1  # the index of a single job or an array parent
NODES = 1_000_000  # the index of node 0: no array has so many children

_JOB_ID = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:([:#])(0|[1-9][0-9]{0,5}))?")
_ATTEMPT_ID = re.compile(_JOB_ID.pattern + r"\.([1-9][0-9]{0,3})")


class JobId(NamedTuple):
    """A parsed job id: the UUID as text and the index of the child or node (WHOLE if none)."""

    uuid: str
    index: int


class AttemptId(NamedTuple):
    """A parsed attempt id; `number` counts from 1."""

    uuid: str
    index: int
    number: int


def parse_job_id(text: str) -> JobId | None:
    """Return the parts of `UUID`, `UUID:index` or `UUID#number`; None for anything else (an ARN is not an id)."""
    match = _JOB_ID.fullmatch(text)
    return None if match is None else JobId(match[1], _index(match[2], match[3]))


def _index(sign: str | None, digits: str) -> int:
    if sign is None:
        return WHOLE
    return int(digits) if sign == ":" else NODES + int(digits)


def job_id(uuid: str, index: int) -> str:
    """The id that clients see: `UUID`, `UUID:index` for a child, `UUID#number` for a node."""
    if index == WHOLE:
        return uuid
    return f"{uuid}:{index}" if index < NODES else f"{uuid}#{index - NODES}"


def attempt_id(uuid: str, index: int, number: int) -> str:
    """The name of an attempt, of its directories and of its exit record."""
    return f"{job_id(uuid, index)}.{number}"


def parse_attempt_id(text: str) -> AttemptId | None:
    """The parts of an attempt id; None if `text` is not one. Safe to use on file names found on disk."""
    match = _ATTEMPT_ID.fullmatch(text)
    if match is None:
        return None
    return AttemptId(match[1], _index(match[2], match[3]), int(match[4]))


def task_id(attempt: str) -> str:
    """32 hex digits for the taskArn and the log stream of `attempt`."""
    return hashlib.blake2b(attempt.encode(), digest_size=16, person=b"batchyard-task").hexdigest()


def container_instance_id(of: str) -> str:
    """32 hex digits for the containerInstanceArn of an instance, by its id, or of the whole machine in an UNMANAGED
    environment, by the environment's UUID."""
    return hashlib.blake2b(of.encode(), digest_size=16, person=b"batchyard-cinst").hexdigest()


def machine_instance_id(environment_uuid: str) -> str:
    """The instance id of the whole machine in an UNMANAGED environment; the same over restarts."""
    return "i-" + hashlib.blake2b(environment_uuid.encode(), digest_size=16, person=b"batchyard-inst").hexdigest()[:17]


def instance_id(machine: str, number: int) -> str:
    """The id of the instance with this number in the environment whose own is `machine` (``machine_instance_id``)."""
    derived = hashlib.blake2b(f"{machine}/{number}".encode(), digest_size=16, person=b"batchyard-inst")
    return "i-" + derived.hexdigest()[:17]


def executor_name(provider: str) -> str:
    """The executor behind a provider: what stands before the slash (`pretend/UUID` is one environment's own)."""
    return provider.partition("/")[0]
