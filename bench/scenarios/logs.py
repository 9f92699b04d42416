"""SubmitJob while wide pages of logs are read: a caller submits one job after another, and two others page through the
logs of 500 streams without a pause.

Baseline: the same submissions while nobody reads.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Event, Process, Value
from urllib.parse import urlsplit

from batchyard.access.keys import Key
from bench.measure import Measure, rounds
from bench.site import SUBMIT, Site, signed, submission

STREAMS, LINES = 500, 60
READERS = 2
SUBMISSIONS = 150
GROUP, TARGET = "/aws/batch/job", "Logs_20140328.FilterLogEvents"


def measure() -> Iterator[Measure]:
    quiet, read, worst, told = [], [], [], 0
    with Site(vcpus=8) as site:
        array = site.submit("sh", "-c", f"seq {LINES}", size=STREAMS)
        site.wait(lambda: site.describe(array)["status"] == "SUCCEEDED", "the array ends", every_s=0.1)
        site.occupy()
        for _ in rounds(3, 5, 20):
            quiet.append(statistics.median(_submissions(site)))
            with _reading(site) as pages:
                seen = _submissions(site)
                told += pages.value
            read.append(statistics.median(seen))
            worst.append(statistics.quantiles(seen, n=20)[18])
    yield Measure(
        "logs.submit",
        "ms",
        tuple(read),
        (("the same while nobody reads", tuple(quiet)),),
        (f"p95 {statistics.median(worst):.1f} ms; {told} pages of {STREAMS} streams were read meanwhile",),
    )


def _submissions(site: Site) -> list[float]:
    """ms of each of the submissions, one after another."""
    took = []
    for _ in range(SUBMISSIONS):
        body = submission()
        headers = signed(site.url, site.key, SUBMIT, body, invocation=True)
        begun = time.perf_counter()
        site.send(SUBMIT, body, headers)
        took.append(1e3 * (time.perf_counter() - begun))
    return took


@contextmanager
def _reading(site: Site) -> Iterator[Value]:
    """While it is entered, READERS processes read page after page and count them."""
    over, pages = Event(), Value("q", 0)
    readers = [Process(target=_read, args=(site.url, site.key, over, pages), daemon=True) for _ in range(READERS)]
    for each in readers:
        each.start()
    site.wait(lambda: pages.value >= READERS, "pages are read")
    try:
        yield pages
    finally:
        over.set()
        for each in readers:
            each.join(30)


def _read(url: str, key: Key, over: Event, pages: Value) -> None:
    address, token = urlsplit(url), None
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    while not over.is_set():
        body = json.dumps({"logGroupName": GROUP} | ({"nextToken": token} if token else {})).encode()
        connection.request("POST", "/", body, signed(url, key, "/", body, target=TARGET))
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a page was answered with {answer.status}: {said.decode(errors='replace')}")
        token = json.loads(said).get("nextToken")
        with pages.get_lock():
            pages.value += 1
