"""A server of this machine that answers as AWS would, and keeps what it was asked."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from batchyard import config
from batchyard.grants import calls
from batchyard.grants.desk import Desk

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "server-secret"}
NOW_S = 1_790_000_000.0


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Elsewhere:
    """`answers` are (status, body), given one after the other; the last one stays."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[Asked] = []
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                elsewhere.asked.append(Asked(self.path, headers, body))
                answers = elsewhere.answers
                status, content = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def elsewhere():
    server = Elsewhere()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(calls, "PAUSE_S", 0.0)


@pytest.fixture
def desk(tmp_path):
    """A desk under settings and an environment of the server; a path of the settings lies in the test's directory."""

    def make(environ=(), own: str = "http://127.0.0.1:22824", **settings) -> Desk:
        resolved = config.load({"data": str(tmp_path / "data")} | settings, environ={})
        return Desk(resolved, dict(environ), lambda: own, lambda: NOW_S)

    return make
