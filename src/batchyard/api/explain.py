"""Why a job is not running: its row, its class's verdict and its rank, put together (`GET /x/explain/ID`).

Counting who is ahead may last where a million jobs wait, so it is done in a thread, on a reader that nobody else
waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchyard.api.batch.jobs import find_job
from batchyard.api.context import Call, Context
from batchyard.describe import explanations, retries, verdicts
from batchyard.describe.explanations import Explained, Head, Stand, WaitedFor
from batchyard.errors import ClientError
from batchyard.model import ids, states
from batchyard.model.jobs import N_TO_N, SEQUENTIAL, kept_as
from batchyard.model.needs import Needs
from batchyard.model.shown import LineShown
from batchyard.model.verdicts import Verdict
from batchyard.ports import JobRow, Waiting

UPSTREAMS_TOLD = 10


def explain(context: Context, call: Call, given: str) -> dict[str, Any]:
    """The job's explanation as data. Blocking. ClientError if there is no such job."""
    row = find_job(context, call, given)
    if row is None:
        raise ClientError(f"Job {given} does not exist in region {call.region}.", "Find its id with ListJobs.")
    return Explainer(context, call).whole(row)


class Explainer:
    """Gathers what is known of one job, and of those that it waits for."""

    def __init__(self, context: Context, call: Call):
        self._context = context
        self._reader = context.past
        self._call = call
        self._speech = verdicts.Speech(
            lambda number: context.names.environment(number)[0], self._reader.resource_name, self._larger, call.now_ms
        )

    def whole(self, row: JobRow) -> dict[str, Any]:
        """All of it."""
        told, more = self._told(row, follow=True)
        return {
            "jobId": _id(row),
            "jobName": row.name,
            "jobQueue": self._context.names.queue(row.queue),
            "status": states.NAMES[row.status],
            "sentence": told.sentence,
            "nextStep": told.next_step,
            "commands": told.commands,
            "asOf": self._call.now_ms,
        } | more

    def _told(self, row: JobRow, follow: bool) -> tuple[Explained, dict[str, Any]]:
        """In words, and as data. `follow`: those that it waits for are explained, too; they follow no further."""
        if row.size and row.index == ids.WHOLE and row.status != states.SUBMITTED:
            return self._array(row, follow)
        if row.status == states.SUBMITTED:
            backlog = self._reader.backlog()
            data = {"requestsWaiting": backlog.count, "engineRecordedAt": backlog.engine_ms}
            return explanations.submitted(row, backlog, self._call.now_ms), data
        if row.status == states.PENDING:
            return self._pending(row, follow)
        if row.status == states.RUNNABLE:
            return self._runnable(row)
        if row.status in states.TERMINAL:
            return self._ended(row)
        return self._under_way(row)

    # -- it waits for others -----------------------------------------------------------------------------------

    def _array(self, row: JobRow, follow: bool) -> tuple[Explained, dict[str, Any]]:
        counts = self._reader.child_counts(row.seq)
        child = self._first_waiting(row) if follow and row.status not in states.TERMINAL else None
        data = {"children": dict(zip(states.NAMES, counts, strict=True))}
        return explanations.array(row, counts, child), data | ({"child": child.data()} if child else {})

    def _first_waiting(self, row: JobRow) -> WaitedFor | None:
        for status in (states.RUNNABLE, states.PENDING, states.STARTING, states.RUNNING):
            for child in self._reader.list_children(row.seq, status, -1, 1):
                return self._waited_for(self._reader.job(child.region, child.uuid, child.index) or child, True)
        return None

    def _pending(self, row: JobRow, follow: bool) -> tuple[Explained, dict[str, Any]]:
        undone = [each for each in self._upstreams(row) if each.status != states.SUCCEEDED]
        told = [self._waited_for(each, follow) for each in undone[:UPSTREAMS_TOLD]]
        more = len(undone) - len(told)
        data = {"waitsFor": [each.data() for each in told], "waitsForMore": more} if follow else {}
        return explanations.pending(row, told, more), data

    def _upstreams(self, row: JobRow) -> Iterator[JobRow]:
        """What it depends on; those that are known no more have succeeded, or the job would have failed with them."""
        for named, kind in row.depends_on:
            if kind == SEQUENTIAL and named is None:
                before = self._reader.job(row.region, row.uuid, row.index - 1) if row.index > 0 else None
                if before is not None:
                    yield before
                continue
            job = ids.parse_job_id(named) if named is not None else None
            if job is not None:
                index = row.index if kind == N_TO_N else job.index
                found = self._reader.job(row.region, job.uuid, index)
                if found is not None:
                    yield found

    def _waited_for(self, row: JobRow, explained: bool) -> WaitedFor:
        sentence = self._told(row, follow=False)[0].sentence if explained else ""
        return WaitedFor(_id(row), row.name, row.status, sentence)

    # -- it waits for room or its turn -------------------------------------------------------------------------

    def _runnable(self, row: JobRow) -> tuple[Explained, dict[str, Any]]:
        waiting = self._reader.waiting(row)
        if waiting is None:
            return Explained("It is known no more."), {}
        stand = self._stand(row, waiting)
        return explanations.runnable(self._speech, row, stand), self._data(row, waiting, stand)

    def _stand(self, row: JobRow, waiting: Waiting) -> Stand:
        verdict = waiting.verdict.view if waiting.verdict else None
        line = waiting.line.view if waiting.line else None
        head = self._head(row, line)
        shares = line.shares if line is not None and waiting.share is not None else ()
        place = next((at for at, share in enumerate(shares, 1) if share.id == waiting.share), 0)
        starts = shares[place - 1].starts if place else line.starts if line is not None else None
        moving = explanations.goes_on(verdict) and (head is None or explanations.goes_on(head.verdict))
        estimate = None
        if starts is not None and moving and (waiting.ahead or head is not None):
            estimate = explanations.estimate(starts, waiting.ahead, self._call.now_ms)
        return Stand(
            needs=waiting.needs,
            ahead=waiting.ahead,
            queue=self._context.names.queue(row.queue),
            verdict=verdict,
            head=head,
            estimate=estimate,
            share=waiting.share,
            share_place=place,
            shares=len(shares),
        )

    def _head(self, row: JobRow, line: LineShown | None) -> Head | None:
        """Who goes first, if it is another one and the engine has told why it waits."""
        if line is None or line.head is None or line.head == (row.uuid, row.index):
            return None
        first = self._reader.job(row.region, *line.head)
        if first is None or first.status != states.RUNNABLE:
            return None
        found = self._reader.verdict(first)
        return None if found is None else Head(_id(first), found.verdict.view, found.needs)

    def _data(self, row: JobRow, waiting: Waiting, stand: Stand) -> dict[str, Any]:
        found: dict[str, Any] = {"ahead": stand.ahead, "attempts": row.attempts}
        if waiting.verdict is not None:
            found["since"] = waiting.verdict.at_ms
            found |= self._verdict(waiting.verdict.view, waiting.needs)
        if stand.share is not None:
            found["share"] = {"shareIdentifier": stand.share, "place": stand.share_place or None, "of": stand.shares}
        if stand.head is not None:
            found["head"] = {"jobId": stand.head.job_id} | self._verdict(stand.head.verdict, stand.head.needs)
        if stand.estimate is not None:
            rests_on = {"starts": stand.estimate.starts, "overMs": stand.estimate.over_ms}
            found["estimate"] = {"inMs": stand.estimate.in_ms, "restsOn": rests_on}
        return found

    def _verdict(self, verdict: Verdict, needs: Needs) -> dict[str, Any]:
        speech = self._speech
        places = [
            {
                "computeEnvironment": speech.name(place.environment),
                "sentence": verdicts.short_place(speech, place, needs),
                "obstacles": [verdicts.data(speech, each) for each in place.obstacles],
            }
            for place in verdict.places
        ]
        own = [verdicts.data(speech, each) for each in verdict.own]
        return {
            "kind": str(verdict.kind),
            "standing": verdict.standing,
            "everywhere": own,
            "computeEnvironments": places,
        }

    def _larger(self, needs: Needs) -> str | None:
        return self._context.machines().smallest_holding(needs)

    # -- it runs, or ran ---------------------------------------------------------------------------------------

    def _under_way(self, row: JobRow) -> tuple[Explained, dict[str, Any]]:
        attempts = self._reader.attempts(row.seq, kept_as(row.nodes, row.index))
        latest = attempts[-1] if attempts else None
        place = "" if latest is None else self._context.names.environment(latest.environment)[0]
        data = {"computeEnvironment": place, "instance": latest.instance} if latest is not None else {}
        return explanations.under_way(row, latest, place, self._call.now_ms), data

    def _ended(self, row: JobRow) -> tuple[Explained, dict[str, Any]]:
        whole = row if row.body else self._reader.job(row.region, row.uuid, row.index) or row
        strategy = whole.body.get("retryStrategy", {})
        return explanations.ended(row, strategy.get("attempts", 1), retries.decided(row, strategy)), {}


def _id(row: JobRow) -> str:
    return ids.job_id(row.uuid, row.index)
