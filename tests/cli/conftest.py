"""A small scripted API for what is hard to bring about with a real server, and a way to type commands at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from batchyard.cli.main import cli
from tests.harness.site import PROCESSES, Site

KEY_ID, SECRET = "BYAKTEST", "not-a-secret"


class Refusal(Exception):
    """What a script raises to have the call refused as AWS refuses."""

    def __init__(self, code: str, message: str, status: int = 400):
        self.code, self.message, self.status = code, message, status


class ScriptedApi:
    """Answers each operation by the function that the test put into `on`; `calls` is what was asked."""

    def __init__(self) -> None:
        self.on: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(self.path, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
                target = self.headers.get("x-amz-target")
                self._answer(target.partition(".")[2] if target else self.path.removeprefix("/v1/"), body)

            def _answer(self, operation: str, body: dict[str, Any]) -> None:
                api.calls.append((operation, body))
                api.headers.append({name.lower(): value for name, value in self.headers.items()})
                headers, status = {}, 200
                try:
                    answer = api.on[operation](body)
                except Refusal as refusal:
                    status, answer = refusal.status, {"message": refusal.message}
                    headers["x-amzn-errortype"] = refusal.code
                payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(payload))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that leaves in the middle is nobody's concern
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [params for name, params in self.calls if name == operation]

    def has_queue(self) -> None:
        self.on["describejobqueues"] = lambda _: {"jobQueues": [{"jobQueueName": "default"}]}

    def runs(self, job: dict[str, Any], lines: list[str], notices: list[str] = ()) -> None:
        """Script all that `run` asks for: the job is found in its last state at once, with these log lines."""
        self.has_queue()
        self.on["describejobdefinitions"] = lambda _: {"jobDefinitions": []}
        self.on["registerjobdefinition"] = lambda _: {"jobDefinitionArn": "arn:batchyard-run:1"}
        self.on["submitjob"] = lambda _: {"jobId": job["jobId"]}
        self.on["describejobs"] = lambda _: {"jobs": [job]}
        self.on[f"/x/jobs/{job['jobId']}"] = lambda _: {**job, "notices": list(notices), "runs": []}
        self.on["GetLogEvents"] = lambda asked: {
            "events": [] if asked.get("nextToken") else [{"timestamp": 0, "message": line} for line in lines],
            "nextForwardToken": "f/end",
            "nextBackwardToken": "b/end",
        }


@pytest.fixture
def api():
    scripted = ScriptedApi()
    yield scripted
    scripted.server.shutdown()
    scripted.server.server_close()


@pytest.fixture
def environ(api, tmp_path, monkeypatch):
    """The environment of a user of the scripted API, in an empty directory."""
    for name in ("BATCHYARD_DATA", "BATCHYARD_ACCESS_KEY_FILE", "AWS_SESSION_TOKEN", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BATCHYARD_ENDPOINT", api.url)
    monkeypatch.setenv("BATCHYARD_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("BATCHYARD_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def batchyard(environ):
    """Type a command: batchyard("jobs", "--json") -> its exit code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(cli, list(arguments), prog_name="batchyard")


class LiveServer:
    """A real server of the tests' own, and commands typed at it from a directory of their own."""

    def __init__(self, site: Site, directory: Path):
        self.site = site
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHYARD_", "AWS_"))}
        self.environ = kept | PROCESSES | {"BATCHYARD_DATA": str(site.data)}

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen:
        """Start a command and leave it running; its output is piped."""
        return subprocess.Popen(
            [sys.executable, "-m", "batchyard", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env=self.environ,
            **more,
        )

    def type(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            said, complained = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, said, complained)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    base = tmp_path_factory.mktemp("cli")
    (base / "here").mkdir()
    site = Site(base / "data", "--vcpus", "4").start()
    yield LiveServer(site, base / "here")
    site.destroy()
