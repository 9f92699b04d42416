"""The sink `eventbridge_url`: PutEvents to an EventBridge endpoint, AWS's or any other that speaks its protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from batchyard.observe.follow import Failed
from batchyard.observe.sinks.post import Headers, Post
from batchyard.observe.sinks.webhook import fingerprint
from batchyard.observe.state_changes import StateChange

ENTRIES_MAX = 10
REQUEST_MAX = 256 * 1024  # bytes by AWS's count of an entry's members
TIME_BYTES = 14  # what AWS counts for Time
TRIES = 4  # for entries that the endpoint did not take, before the whole request is sent again
AGAIN_S = 0.2

_HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"}
# Shown of a job whose detail is larger than a request may be.
_SHORT = ("jobArn", "jobName", "jobId", "jobQueue", "status", "statusReason", "createdAt", "startedAt", "stoppedAt")
_SHORT += ("jobDefinition", "arrayProperties", "retryStrategy", "isCancelled", "isTerminated", "batchyardEventId")


class EventBus:
    """sink.Place: event bus `bus` at `url`. `sign` is as Post has it; it raises Failed when there is nothing to sign
    with. EventBridge gives events ids of its own, so ours is the member `batchyardEventId` of the detail."""

    most = ENTRIES_MAX * 10

    def __init__(self, url: str, bus: str, source: str, sign: Callable[[str, str, Headers, bytes], Headers]):
        self._post = Post(url, sign)
        self._bus = bus
        self._source = source
        self.name = f"eventbridge_url {self._post.host} {fingerprint(url, bus, source)}"

    def deliver(self, events: Sequence[StateChange], stop: threading.Event) -> None:
        for entries in _requests([(event.job, self._entry(event)) for event in events]):
            left = self._put(entries)
            for _ in range(TRIES - 1):
                if not left or stop.wait(AGAIN_S):
                    break
                left = self._put([entry for entry, _ in left])
            if left:
                code = left[0][1]
                raise Failed(f"{self._post.host} did not take {len(left)} of {len(entries)} events ({code})")

    def _entry(self, event: StateChange) -> dict[str, Any]:
        entry = {
            "Time": event.at_ms // 1000,
            "Source": self._source,
            "Resources": event.arns,
            "DetailType": event.type,
            "Detail": _with_id(event.detail, event.id),
            "EventBusName": self._bus,
        }
        if _size(entry) > REQUEST_MAX:
            shown = json.loads(entry["Detail"])
            entry["Detail"] = json.dumps({name: shown[name] for name in _SHORT if name in shown})
        return entry

    def _put(self, entries: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
        """Those that were not taken, each with the endpoint's error code."""
        answer = self._post(json.dumps({"Entries": entries}).encode(), _HEADERS)
        if answer.status != 200:
            raise Failed(f"{self._post.host} answers {answer.status} {_code(answer.body)}".rstrip())
        try:
            told = json.loads(answer.body)
            if not told["FailedEntryCount"]:
                return []
            codes = [each.get("ErrorCode") for each in told["Entries"]]
            return [(entry, _word(code)) for entry, code in zip(entries, codes, strict=True) if code]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Failed(f"{self._post.host} answers something else than PutEvents does") from None


def _with_id(detail: bytes, event_id: str) -> str:
    return f'{detail[:-1].decode()},"batchyardEventId":"{event_id}"}}'


def _requests(entries: list[tuple[tuple[int, int], dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Cut into requests; of one job each holds one event at most, since some of a request may fail."""
    rounds: list[list[dict[str, Any]]] = []
    seen: dict[tuple[int, int], int] = {}
    for job, entry in entries:
        turn = seen[job] = seen.get(job, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(entry)
    for each in rounds:
        request, size = [], 0
        for entry in each:
            more = _size(entry)
            if request and (len(request) == ENTRIES_MAX or size + more > REQUEST_MAX):
                yield request
                request, size = [], 0
            request.append(entry)
            size += more
        yield request


def _size(entry: dict[str, Any]) -> int:
    """An entry's size as AWS counts it."""
    texts = (entry["Source"], entry["DetailType"], entry["Detail"], *entry["Resources"])
    return TIME_BYTES + sum(len(text.encode()) for text in texts)


def _code(body: bytes) -> str:
    """The error code of AWS's JSON protocols, in parentheses; nothing if there is none."""
    try:
        code = json.loads(body)["__type"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"({_word(code)})"


def _word(code: Any) -> str:
    """A code fit to be logged."""
    return "".join(letter for letter in str(code).rpartition("#")[2] if letter.isalnum())[:80]
