"""The load generator, a process of its own: ``python -m bench.load``, told what to do by a JSON line on its input.

Requests are signed before the clock starts and written as they are to kept-alive connections, one request at a time
each, so that hardly any of the measured time is the client's. Answers with JSON: seconds, CPU seconds, and how many
requests were answered with which status.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import uvloop

from batchyard.access.keys import Key
from bench.site import QUEUE, SUBMIT, Site, signed, submission


class Caller(asyncio.Protocol):
    """One connection: sends the next request when the last one is answered."""

    def __init__(self, requests: list[bytes], statuses: Counter[str], done: asyncio.Future):
        self._requests = requests
        self._statuses = statuses
        self._done = done
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if self._requests:
            self._transport.write(self._requests.pop())
        elif not self._done.done():
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        if not length or len(body) < int(length):
            return
        self._statuses[head[9:12].decode()] += 1
        self._answer = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))


async def drive(host: str, port: int, requests: list[bytes], callers: int) -> dict:
    """Send all requests, `callers` at a time."""
    loop, statuses = asyncio.get_running_loop(), Counter[str]()
    begun_s, begun_cpu = time.perf_counter(), time.process_time()
    waits = []
    for _ in range(callers):
        done = loop.create_future()
        waits.append(done)
        await loop.create_connection(lambda done=done: Caller(requests, statuses, done), host, port)
    await asyncio.gather(*waits)
    return {
        "seconds": time.perf_counter() - begun_s,
        "cpu_s": time.process_time() - begun_cpu,
        "statuses": dict(statuses),
    }


def presigned(url: str, key: Key, count: int, queue: str = QUEUE) -> list[bytes]:
    """Distinct submissions, ready to be written to a socket."""
    requests = []
    for number in range(count):
        body = submission(name=f"load-{number}", queue=queue)
        headers = signed(url, key, SUBMIT, body, invocation=True) | {"Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        requests.append(f"POST {SUBMIT} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    return requests


def run(site: Site, count: int, callers: int = 64, url: str | None = None, queue: str = QUEUE) -> dict:
    """Submit `count` jobs to the site from a load generator; with `url`, the same requests go there instead."""
    order = {"url": site.url, "key": list(site.key), "count": count, "callers": callers, "to": url or site.url}
    order["queue"] = queue
    told = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise RuntimeError(f"the load generator failed:\n{told.stderr}")
    answer = json.loads(told.stdout)
    if answer["statuses"] != {"200": count}:
        raise RuntimeError(f"of {count} requests not all were answered with 200: {answer['statuses']}")
    return answer


def main() -> None:
    order = json.load(sys.stdin)
    requests = presigned(order["url"], Key(*order["key"]), order["count"], order["queue"])
    to = urlsplit(order["to"])
    print(json.dumps(uvloop.run(drive(to.hostname or "", to.port or 0, requests, order["callers"]))))


if __name__ == "__main__":
    main()
