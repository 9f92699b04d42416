"""Why a job is not running, or where it runs, or how it ended: one sentence, and the next step where there is one.

Everything comes in as values; who gathers them is the api. A sentence begins with "It" and ends in a full stop, so that
it can stand by itself or follow a job's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from batchyard.describe import measures, verdicts
from batchyard.describe.verdicts import Speech
from batchyard.model import states
from batchyard.model.jobs import CANCEL, TERMINATE
from batchyard.model.needs import Needs
from batchyard.model.shown import MINUTE_MS, STARTS_KEPT_MIN, Starts
from batchyard.model.verdicts import Kind, Verdict
from batchyard.ports import AttemptRow, Backlog, JobRow

JUST_NOW_MS = 2_000  # in which the engine takes what was submitted, and looks at who came into line
FEWEST_STARTS = 3  # from which a rate is told, and
SHORTEST_MS = 10_000  # over which time at least
LONGEST_MS = 30 * 86_400_000  # beyond which nobody foresees anything
WAITED_FOR_TOLD = 3


class Explained(NamedTuple):
    """`next_step` is a sentence, too; None where there is nothing to do but to wait."""

    sentence: str
    next_step: str | None = None
    commands: tuple[str, ...] = ()  # that do so, where one call does


class Estimate(NamedTuple):
    """When a job may start, and what that rests on: so many starts in so long."""

    in_ms: int
    starts: int
    over_ms: int


class Head(NamedTuple):
    """Who goes first where a job waits, and what stands in its way."""

    job_id: str
    verdict: Verdict
    needs: Needs


class Stand(NamedTuple):
    """All that is known of where a RUNNABLE job stands."""

    needs: Needs
    ahead: int
    queue: str
    verdict: Verdict | None = None  # None: the engine has shown none yet
    head: Head | None = None  # None: it is the head itself, or nobody knows it
    estimate: Estimate | None = None
    share: str | None = None  # `ahead` and the estimate are then of that share
    share_place: int = 0  # of the share among those of which jobs wait: 1 has the next turn; 0: nobody knows
    shares: int = 0  # how many those are


class WaitedFor(NamedTuple):
    """Another job that one waits for, or a child of one."""

    job_id: str
    name: str
    status: int
    sentence: str

    def data(self) -> dict[str, Any]:
        """For programs."""
        status = states.NAMES[self.status]
        return {"jobId": self.job_id, "jobName": self.name, "status": status, "sentence": self.sentence}


# -- it waits --------------------------------------------------------------------------------------------------------


def submitted(row: JobRow, backlog: Backlog, now_ms: int) -> Explained:
    """The engine has not taken it yet."""
    if now_ms - row.created_ms < JUST_NOW_MS:
        return Explained("It was submitted just now, and the engine takes it within milliseconds.")
    count = measures.count(backlog.count, "request")
    last = (
        f", which last recorded something {measures.span(now_ms - backlog.engine_ms)} ago" if backlog.engine_ms else ""
    )
    return Explained(
        f"It was submitted {measures.span(now_ms - row.created_ms)} ago and the engine has not taken it yet: "
        f"{count} wait for the engine{last}.",
        "See what batchyard serve says and whether its disk is full (batchyard doctor).",
    )


def pending(row: JobRow, upstreams: Sequence[WaitedFor], more: int) -> Explained:
    """It depends on other jobs; `upstreams` are the first of them that have not succeeded, `more` are not named."""
    if row.stop_kind is not None:
        return Explained("It was stopped, and ends as soon as the jobs that it depends on have ended.")
    if not upstreams:
        return Explained("It depends on nothing that is not done, and becomes RUNNABLE at once.")
    named = [f"{each.job_id} ({each.name}, {states.NAMES[each.status]})" for each in upstreams[:WAITED_FOR_TOLD]]
    rest = more + max(0, len(upstreams) - WAITED_FOR_TOLD)
    named += [measures.count(rest, "other job")] if rest else []
    first = upstreams[0]
    ahead = f" Of {first.job_id}: {first.sentence}" if len(upstreams) == 1 and not rest else ""
    return Explained(f"It waits for {measures.listed(named)} to succeed.{ahead}")


def runnable(speech: Speech, row: JobRow, stand: Stand) -> Explained:
    """It waits for room, or for its turn."""
    told = _in_line(speech, stand)
    tried = f"It was tried {_times(row.attempts)} before and stands at the front. " if row.attempts else ""
    return told._replace(sentence=f"{tried}{told.sentence}")


def _in_line(speech: Speech, stand: Stand) -> Explained:
    verdict, head = stand.verdict, stand.head
    if verdict is not None and verdict.standing:
        why, *remedy = _changed_by(speech, verdict, stand.needs)
        return Explained(f"It cannot start: {why}.", *remedy)
    if head is not None and head.verdict.standing:
        why, *_ = _changed_by(speech, head.verdict, head.needs)
        return Explained(
            f"It waits behind {_ahead(stand)}, and {head.job_id}, which goes first, cannot start: {why}.",
            f"Terminate {head.job_id}, or change what stands in its way (batchyard explain {head.job_id}).",
            (f"batchyard terminate {head.job_id}",),
        )
    if verdict is None and head is None:
        return Explained(f"It waits, {_ahead(stand)} ahead of it; the engine has not told yet what for.")
    if not stand.ahead and head is None:
        why, *remedy = _changed_by(speech, verdict, stand.needs)
        return Explained(f"It goes next{': ' + why if why else ''}.", *remedy)
    return Explained(f"It waits its turn, {_ahead(stand)} ahead of it{_turn(stand)}{_reasons(speech, stand)}.")


def _changed_by(speech: Speech, verdict: Verdict, needs: Needs) -> tuple[str, str | None, tuple[str, ...]]:
    """What stands in the way with what would change it, as a clause; the same as a next step, and as commands."""
    of = speech, verdict, needs
    return verdicts.sentence(*of), verdicts.next_step(*of), verdicts.commands(*of)


def _ahead(stand: Stand) -> str:
    inside = f"of share {stand.share} " if stand.share else ""
    return f"{measures.count(stand.ahead, 'job') if stand.ahead else 'no job'} {inside}in queue {stand.queue}"


def _turn(stand: Stand) -> str:
    """The place of the share."""
    if not stand.share_place:
        return ""
    place = "has the next turn" if stand.share_place == 1 else f"is number {stand.share_place} of {stand.shares}"
    return f"; share {stand.share} {place}" if stand.shares > 1 else ""


def _reasons(speech: Speech, stand: Stand) -> str:
    """What holds up who goes first, and when the job itself may start."""
    verdict, needs = (stand.head.verdict, stand.head.needs) if stand.head else (stand.verdict, stand.needs)
    said = verdicts.obstacles(speech, verdict, needs) if verdict is not None else []
    why = "; and ".join(dict.fromkeys(each.fact for each in said))
    when = ""
    if stand.estimate is not None:
        of = f"share {stand.share}" if stand.share else f"queue {stand.queue}"
        starts = measures.count(stand.estimate.starts, "job")
        when = f"; {of} started {starts} in the last {measures.span(stand.estimate.over_ms)}: "
        when += f"in about {measures.span(stand.estimate.in_ms)}"
    return (f": {why}" if why else "") + when


def estimate(starts: Starts, ahead: int, now_ms: int) -> Estimate | None:
    """When so many will have started, at the rate of the last minutes; None where that says nothing."""
    since_ms = max(starts.since_ms, now_ms - STARTS_KEPT_MIN * MINUTE_MS)
    counted = [(minute, count) for minute, count in starts.minutes if minute + MINUTE_MS > since_ms]
    total, over_ms = sum(count for _, count in counted), now_ms - since_ms
    if total < FEWEST_STARTS or over_ms < SHORTEST_MS:
        return None
    in_ms = (ahead + 1) * over_ms // total
    return Estimate(in_ms, total, over_ms) if in_ms <= LONGEST_MS else None


def goes_on(verdict: Verdict | None) -> bool:
    """Whether starts of the past say anything of the future: nothing stands in the way for good."""
    return verdict is not None and not verdict.standing and verdict.kind != Kind.UNDETERMINED


# -- it runs, or ran -------------------------------------------------------------------------------------------------


def under_way(row: JobRow, attempt: AttemptRow | None, place: str, now_ms: int) -> Explained:
    """STARTING or RUNNING."""
    number = f" (attempt {row.attempts})" if row.attempts > 1 else ""
    stopping = ", and is being terminated" if row.stop_kind == TERMINATE else ""
    where = "" if attempt is None else f" in {place}" + (f" on {attempt.instance}" if attempt.instance else "")
    if row.status == states.RUNNING and row.started_ms is not None:
        return Explained(f"It runs{where} for {measures.span(now_ms - row.started_ms)}{number}{stopping}.")
    since = "" if attempt is None else f" for {measures.span(now_ms - attempt.opened_ms)}"
    late = attempt is not None and now_ms - attempt.opened_ms > 30_000
    step = "See whether the runner lives: batchyard doctor." if late else None
    return Explained(f"It is being started{where}{since}{number}{stopping}.", step)


def ended(row: JobRow, attempts_most: int, decided: str | None) -> Explained:
    """SUCCEEDED or FAILED; `decided` says what kept it from being tried again."""
    if row.status == states.SUCCEEDED:
        took = _took(row)
        return Explained(f"It succeeded{took}.")
    why = [row.status_reason] if row.status_reason else []
    why += [row.reason] if row.reason and row.reason not in why else []
    why += [f"exit code {row.exit_code}"] if row.exit_code is not None else []
    tried = f" at attempt {row.attempts} of {attempts_most}" if row.attempts and attempts_most > 1 else ""
    by = {CANCEL: " It had been cancelled.", TERMINATE: " It had been terminated."}.get(row.stop_kind or 0, "")
    text = f"It failed{tried}{_took(row)}{': ' + ', '.join(why) if why else ''}.{by}"
    text += f" {decided}" if decided and row.attempts else ""
    log = f"batchyard logs {_id(row)} shows what it said." if row.started_ms is not None else None
    return Explained(text, log)


def _took(row: JobRow) -> str:
    if row.started_ms is None or row.stopped_ms is None:
        return ""
    return f" after {measures.span(row.stopped_ms - row.started_ms)}"


def _id(row: JobRow) -> str:
    return row.uuid if row.index < 0 else f"{row.uuid}:{row.index}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


# -- arrays ----------------------------------------------------------------------------------------------------------


def array(row: JobRow, counts: Sequence[int], child: WaitedFor | None) -> Explained:
    """A parent lives as long as its children; `child` is the first that waits."""
    parts = [f"{number:,} {states.NAMES[status]}" for status, number in enumerate(counts) if number]
    text = f"It is an array of {row.size:,} jobs: {measures.listed(parts)}."
    if row.status in states.TERMINAL:
        text += (
            f" It {'succeeded' if row.status == states.SUCCEEDED else 'failed: ' + (row.status_reason or 'a child')}"
        )
        return Explained(text.rstrip(".") + ".")
    return Explained(text if child is None else f"{text} Of {child.job_id}: {child.sentence}")
