"""ListJobs: jobs of a queue, newest first, by state or by a filter; children of an array (reference "SubmitJob")."""

from __future__ import annotations

import re

from batchyard.api import paging
from batchyard.api.batch.job_queues import find_queue
from batchyard.api.batch.jobs import counted, find_job
from batchyard.api.context import Call, Context
from batchyard.describe import jobs as described
from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.ports import JobFilter, JobRow, NameMatch
from batchyard.wire.shapes import JobSummary, KeyValuesPair, ListJobsRequest, ListJobsResponse

LISTED_MAX = 1000
FILTERED_MAX = 100
VALUES_MAX = 100
CHILDREN_COUNTED = 200_000  # of live arrays in one page: some 20 ms

_OPERATION = "ListJobs"
_SELECTORS = ("jobQueue", "arrayJobId", "multiNodeJobId")
_TIME = re.compile(r"[0-9]{1,18}")


async def list_jobs(context: Context, call: Call, request: ListJobsRequest) -> ListJobsResponse:
    """RUNNING jobs unless told otherwise; a filter brings those of all states, one by share those of a given state."""
    selectors = [name for name in _SELECTORS if getattr(request, name)]
    if len(selectors) != 1:
        given = " and ".join(selectors) or "none"
        raise ClientError(
            f"ListJobs takes exactly one of jobQueue, arrayJobId and multiNodeJobId, got {given}.",
            "Name one queue, one array job or one multi-node job.",
        )
    wanted = _filter(call, request.filters) if request.filters else None
    status = states.NUMBERS[request.jobStatus or "RUNNING"]
    if wanted is not None and wanted.shares is not None and request.jobStatus:
        wanted = wanted._replace(status=status)  # the one filter beside which it counts
    if selectors == ["jobQueue"] and wanted is not None:
        return _search_queue(context, call, request, wanted)
    limit = paging.limit(request.maxResults, LISTED_MAX)
    if selectors == ["jobQueue"]:
        return _list_queue(context, call, request, status, limit)
    return _list_children(context, call, request, status, limit)


def _list_queue(context: Context, call: Call, request: ListJobsRequest, status: int, limit: int) -> ListJobsResponse:
    queue = _queue(context, call, request)
    listing = paging.Listing(context, call, _OPERATION, "queue", queue, status)
    before = listing.position(request.nextToken, paging.Number)
    rows = context.reader.list_queue(queue, status, before, limit + 1)
    return _answer(context, call, listing, rows[:limit], rows[limit - 1].seq if len(rows) > limit else None)


def _search_queue(context: Context, call: Call, request: ListJobsRequest, wanted: JobFilter) -> ListJobsResponse:
    """A call looks at a bounded number of jobs: the page may be short though a token says that there is more."""
    queue = _queue(context, call, request)
    listing = paging.Listing(context, call, _OPERATION, "queue", queue, wanted)
    limit = paging.limit(request.maxResults, FILTERED_MAX)
    before = listing.position(request.nextToken, paging.Number)
    if not _possible(context, call, wanted):
        return ListJobsResponse(jobSummaryList=[])
    found = context.reader.search_queue(queue, wanted, before, limit)
    return _answer(context, call, listing, found.rows, found.rest)


def _list_children(context: Context, call: Call, request: ListJobsRequest, status: int, limit: int) -> ListJobsResponse:
    """By index, or number of the node. Filters do not apply to children and nodes."""
    parent = find_job(context, call, request.arrayJobId or request.multiNodeJobId)
    if parent is None or parent.index != ids.WHOLE or not (parent.size if request.arrayJobId else parent.nodes):
        return ListJobsResponse(jobSummaryList=[])
    listing = paging.Listing(context, call, _OPERATION, "array", parent.uuid, status)
    after = listing.position(request.nextToken, paging.Number)
    rows = context.reader.list_children(parent.seq, status, ids.WHOLE if after is None else after, limit + 1)
    answer = ListJobsResponse(jobSummaryList=[described.summary(context.words(call), row) for row in rows[:limit]])
    if len(rows) > limit:
        answer.nextToken = listing.token(rows[limit - 1].index)
    return answer


def _queue(context: Context, call: Call, request: ListJobsRequest) -> int:
    queue = find_queue(context, call, request.jobQueue)
    if queue is None:
        raise ClientError(f"JobQueue {request.jobQueue} not found.")
    return queue.id


def _answer(
    context: Context, call: Call, listing: paging.Listing, rows: list[JobRow], rest: int | None
) -> ListJobsResponse:
    """A page of a queue, and below which number the next one begins. Live arrays must be counted, child by child, so a
    page that holds very many of their children ends early."""
    shown: list[JobSummary] = []
    children = 0
    for row in rows:
        if row.size and row.status not in states.TERMINAL:
            children += row.size
            if children > CHILDREN_COUNTED and shown:
                rest = rows[len(shown) - 1].seq
                break
        shown.append(_summary(context, call, row))
    answer = ListJobsResponse(jobSummaryList=shown)
    if rest is not None:
        answer.nextToken = listing.token(rest)
    return answer


def _summary(context: Context, call: Call, row: JobRow) -> JobSummary:
    counts = context.reader.child_counts(row.seq) if row.size else ()
    return described.summary(context.words(call), row, counts, counted(call, row))


# -- filters ---------------------------------------------------------------------------------------------------------


def _filter(call: Call, filters: list[KeyValuesPair]) -> JobFilter:
    """What the one filter asks for; ClientError if it cannot be understood."""
    if len(filters) > 1:
        raise ClientError(f"ListJobs takes at most one filter, got {len(filters)}.", "List with one of them.")
    name, values = filters[0].name or "", filters[0].values or []
    read = _READ.get(name)
    if read is None:
        raise ClientError(
            f"filters.name must be one of {', '.join(_READ)}, got {name[:100] or 'none'}.", "Names are in upper case."
        )
    if not 1 <= len(values) <= VALUES_MAX:
        raise ClientError(
            f"filters.values of {name} must have 1 to {VALUES_MAX} entries, got {len(values)}.", "Ask in several calls."
        )
    return read(call, name, values)


def _by_job_name(call: Call, name: str, values: list[str]) -> JobFilter:
    return JobFilter(names=tuple(map(_match, values)))


def _by_definition(call: Call, name: str, values: list[str]) -> JobFilter:
    """Names or ARNs; a name without a revision stands for all of them."""
    matches: list[NameMatch] = []
    for value in values:
        if value.endswith("*"):
            if value.startswith("arn:"):
                raise ClientError(
                    f"{value} ends with an asterisk, which works with names of job definitions, not with ARNs.",
                    "Give the name and the asterisk alone, or a whole ARN.",
                )
            matches.append(_match(value))
        elif (named := call.arns.definition_name(value)) is not None:
            matches.append(NameMatch(named.name, True, named.revision))
    return JobFilter(definitions=tuple(matches))


def _by_time(call: Call, name: str, values: list[str]) -> JobFilter:
    if len(values) > 1 or not _TIME.fullmatch(values[0]):
        raise ClientError(
            f"{name} takes one time in milliseconds since 1970, got {', '.join(values)[:100]!r}.",
            f"Give it as a string of digits, such as {call.now_ms}.",
        )
    if name == "BEFORE_CREATED_AT":
        return JobFilter(created_before_ms=int(values[0]))
    return JobFilter(created_after_ms=int(values[0]))


def _by_share(call: Call, name: str, values: list[str]) -> JobFilter:
    return JobFilter(shares=tuple(map(_match, values)))


_READ = {
    "JOB_NAME": _by_job_name,
    "JOB_DEFINITION": _by_definition,
    "BEFORE_CREATED_AT": _by_time,
    "AFTER_CREATED_AT": _by_time,
    "SHARE_IDENTIFIER": _by_share,
}


def _match(value: str) -> NameMatch:
    return NameMatch(value.removesuffix("*"), not value.endswith("*"))


def _possible(context: Context, call: Call, wanted: JobFilter) -> bool:
    """Whether any job can match: there is no need to look through a queue for a definition that does not exist."""
    if wanted.names == ():
        return False
    if wanted.definitions is None:
        return True
    return any(not match.whole or _is_defined(context, call, match) for match in wanted.definitions)


def _is_defined(context: Context, call: Call, match: NameMatch) -> bool:
    if match.revision is None:
        return bool(context.reader.definitions(call.region, match.text, None, None, 1))
    return context.reader.definition(call.region, match.text, match.revision) is not None
