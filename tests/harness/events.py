"""What a site's events must be, and what DescribeJobs would make of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.parsers
import botocore.session

from batchyard.describe.names import Names
from batchyard.observe.state_changes import StateChange, Teller
from batchyard.store.journal import SqliteJournal
from batchyard.store.past import SqlitePast
from batchyard.store.reader import SqliteReader
from tests.harness.site import Site

ACCOUNT = "123456789012"


def changes(data: Path, after: int = 0) -> Iterator[StateChange]:
    """All events of a data directory, in order, as they are told late."""
    journal, past, reader = SqliteJournal(data), SqlitePast(data), SqliteReader(data)
    try:
        teller = Teller(past, Names(reader), ACCOUNT)
        while entries := journal.after(after, 1000):
            for entry in entries:
                yield from teller.changes(entry)
            after = entries[-1].n
    finally:
        for each in (journal, past, reader):
            each.close()


def expected(data: Path) -> list[dict]:
    """The same, each as its receiver sees it."""
    return [json.loads(change.whole) for change in changes(data)]


def check_delivered(told: list[dict], wanted: list[dict]) -> None:
    """Every event arrived, as it had to be; those of a job in order; what came twice is the same."""
    by_id = {event["id"]: event for event in wanted}
    assert len(by_id) == len(wanted), "ids are unique"
    first: dict[str, dict] = {}
    for event in told:
        assert first.setdefault(event["id"], event) == event
    missing = [(event["detail"]["jobId"], event["detail"]["status"]) for event in wanted if event["id"] not in first]
    assert not missing, f"{len(missing)} events are missing, first of all {missing[:5]}"
    assert first == by_id
    order = {event["id"]: place for place, event in enumerate(wanted)}
    latest: dict[str, int] = {}
    for event_id, event in first.items():
        job = event["detail"]["jobId"]
        assert latest.get(job, -1) < order[event_id], f"events of {job} came out of order"
        latest[job] = order[event_id]


def lines(path: Path) -> list[dict]:
    """The events of a file; every line must be whole."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def all_lines(site: Site, path: Path) -> list[dict]:
    """The events of a file once those of all that happened so far are in it: they come after what they tell of."""
    ids = {event["id"] for event in expected(site.data)}
    site.wait_for(lambda: ids <= {event["id"] for event in lines(path)}, "the file has all events", 60)
    return lines(path)


@cache
def _describe_jobs():
    return botocore.session.get_session().get_service_model("batch").operation_model("DescribeJobs").output_shape


def as_described(event: dict) -> dict:
    """The detail as boto3 would return it from DescribeJobs; without the tag that AWS adds to events."""
    detail = event["detail"] | {"tags": {k: v for k, v in event["detail"]["tags"].items() if k != "resourceArn"}}
    answer = {"status_code": 200, "headers": {}, "body": json.dumps({"jobs": [detail]}).encode()}
    return botocore.parsers.create_parser("rest-json").parse(answer, _describe_jobs())["jobs"][0]
