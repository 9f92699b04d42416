"""Events for tests of what happens to them, and receivers that can be told to misbehave."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from batchyard.observe.state_changes import MOVED, StateChange


def change(number: int, job: int = 1, **detail) -> StateChange:
    """Event `number`, of `job`."""
    arn = f"arn:aws:batch:us-east-1:123456789012:job/{job}"
    shown = {"jobId": str(job), "jobArn": arn, "number": number} | detail
    name = f"id-{number}"
    whole = json.dumps({"id": name, "detail": shown}).encode()
    return StateChange(name, MOVED, (job, -1), [arn], 1_700_000_000_000 + number, json.dumps(shown).encode(), whole)


def numbers(bodies: list[bytes]) -> list[int]:
    """Of the events whose whole JSON these are."""
    return [json.loads(body)["detail"]["number"] for body in bodies]


class Receiver:
    """An HTTP server on loopback. `answers` decides on each request: a status, (status, body, headers) or a fault."""

    def __init__(self, answers: Callable[[bytes], object] = lambda body: 200):
        self.bodies: list[bytes] = []  # of requests that were answered with 2xx
        self.requests: list[tuple[str, dict[str, str]]] = []  # target and headers of all
        self.answers = answers
        self.release = threading.Event()  # ends what hangs
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # who sent it has died
                    self.close_connection = True
                    return
                receiver.requests.append((self.path, dict(self.headers)))
                answer = receiver.answers(body)
                if answer == "hang":
                    receiver.release.wait(60)
                if answer in ("hang", "cut"):
                    self.close_connection = True
                    return
                status, text, headers = answer if isinstance(answer, tuple) else (answer, b"", {})
                if 200 <= status < 300:
                    receiver.bodies.append(body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients may leave when they like
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?token=hunter2"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def flaky(seed: int, share: float) -> Callable[[bytes], object]:
    """Fails this share of requests, in every way that a server may fail quickly."""
    rng = random.Random(seed)
    lock = threading.Lock()

    def answer(body: bytes) -> object:
        with lock:
            return rng.choice([500, 503, 404, 302, "cut"]) if rng.random() < share else 204

    return answer
