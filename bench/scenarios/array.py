"""A 10,000-child array: until SubmitJob is answered, and until all children are seen RUNNABLE.

Baseline: SubmitJob of a single job, by the same client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.measure import Measure, rounds, seconds
from bench.site import SUBMIT, Site, signed, submission

CHILDREN = 10_000


def measure() -> Iterator[Measure]:
    accepted, seen, single = [], [], []
    with Site(vcpus=8) as site:
        site.occupy()
        for _ in rounds(7, 7, 5):
            body = submission()
            headers = signed(site.url, site.key, SUBMIT, body, invocation=True)
            single.append(1e3 * seconds(lambda body=body, headers=headers: site.send(SUBMIT, body, headers)))
            body = submission(size=CHILDREN)
            headers = signed(site.url, site.key, SUBMIT, body, invocation=True)
            begun = time.perf_counter()
            job = site.send(SUBMIT, body, headers)["jobId"]
            accepted.append(1e3 * (time.perf_counter() - begun))
            runnable = lambda job=job: site.children(job).get("RUNNABLE") == CHILDREN  # noqa: E731
            site.wait(runnable, "all children are RUNNABLE", every_s=0)
            seen.append(1e3 * (time.perf_counter() - begun))
    yield Measure("array.accepted", "ms", tuple(accepted), (("a single job", tuple(single)),))
    yield Measure("array.runnable", "ms", tuple(seen), (), ("from sending SubmitJob until statusSummary shows all",))
