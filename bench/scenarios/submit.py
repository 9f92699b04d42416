"""SubmitJob, signed and durable, by 64 callers at once; the jobs wait, so that only submission is measured.

Baseline: the same requests, by the same load generator, to a bare uvicorn application that answers with a fixed body.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench import load
from bench.measure import Measure, rounds
from bench.site import Site

CALLERS = 64
REQUESTS = 5_000

BARE = """
import asyncio, socket, sys
import uvicorn, uvloop
BODY = b'{"jobArn":"' + b"a" * 90 + b'","jobName":"load","jobId":"' + b"0" * 36 + b'"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, http="httptools", lifespan="off", access_log=False, log_config=None, server_header=False)
uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))
"""


@contextmanager
def bare_server() -> Iterator[str]:
    """The URL of an application that does nothing."""
    server = subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait(10)


def measure() -> Iterator[Measure]:
    ours, bare, cpus, bare_cpus = [], [], [], []
    with Site(vcpus=8) as site, bare_server() as url:
        site.occupy()
        load.run(site, 500, CALLERS)
        load.run(site, 500, CALLERS, url)
        for _ in rounds(3, 5, 12):
            told = load.run(site, REQUESTS, CALLERS)
            ours.append(REQUESTS / told["seconds"])
            cpus.append(told["cpu_s"] / told["seconds"])
            last = site.submit()
            site.wait(lambda last=last: site.describe(last)["status"] != "SUBMITTED", "the engine has all")
            told = load.run(site, REQUESTS, CALLERS, url)
            bare.append(REQUESTS / told["seconds"])
            bare_cpus.append(told["cpu_s"] / told["seconds"])
    yield Measure(
        "submit.durable",
        "requests/s",
        tuple(ours),
        (("bare uvicorn", tuple(bare)),),
        (
            f"{CALLERS} callers, {REQUESTS} requests a round; the load generator used {max(cpus):.2f} of a core "
            f"(bare: {max(bare_cpus):.2f})",
        ),
    )
