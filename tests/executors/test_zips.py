"""Zipped applications of process jobs, and what a job asks of the server before it starts."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import stat
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batchyard.executors.runner import fetching
from tests.executors.test_mounts import start
from tests.executors.test_unpacking import archive, entry

APPLICATION = archive(
    (entry("bin/hello", stat.S_IFREG | 0o755), "#!/bin/sh\necho hello $1 from $(cat data.txt) $SECRET\n"),
    (entry("plain.txt", stat.S_IFREG | 0o644), "no program"),
    ("data.txt", "a file"),
)


class Web:
    """A web server of the test's own. `pages`: path -> (status, headers, body); each request is kept in `asked`."""

    def __init__(self, ssl_name: Path | None = None, ssl_key: Path | None = None):
        self.pages: dict[str, tuple[int, dict, bytes]] = {}
        self.asked: list[tuple[str, dict]] = []
        self.release = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.path, dict(self.headers)))
                if "slow" in self.path:
                    web.release.wait(30)
                status, headers, body = web.pages.get(self.path.partition("?")[0], (404, {}, b"nothing"))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if ssl_name is not None:
            self.url = self.url.replace("http", "https", 1)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(ssl_name, ssl_key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def page(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        self.pages[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path

    def answer(self, **told) -> dict:
        """An order's `ask`, that is answered so."""
        return {"url": self.page("/x/tasks/A/start", json.dumps(told).encode()), "token": "TOKEN"}

    def close(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


@pytest.fixture
def shelf():
    """A directory of the machine where applications lie."""
    with tempfile.TemporaryDirectory(prefix="batchyard-shelf-") as made:
        path = Path(os.path.realpath(made))
        path.chmod(0o755)
        yield path


def zipped(address: str, *allowed: str, max_mib: int = 4) -> dict:
    return {"address": address, "from": list(allowed or (address,)), "max_mib": max_mib}


def ran(yard, *argv: str, **members) -> str:
    attempt = start(yard, "", argv=list(argv), **members)
    ending = yard.ended(attempt).ending
    assert (ending.reason, ending.exit_code) == (None, 0), ending
    return yard.output(attempt)


def failure(yard, *argv: str, **members) -> str:
    ending = yard.ended(start(yard, "", argv=list(argv or ["true"]), **members)).ending
    assert (ending.status_reason, ending.exit_code) == ("Task failed to start", None)
    return ending.reason


def test_an_application_of_this_machine(yard, shelf):
    (shelf / "app.zip").write_bytes(APPLICATION)
    output = ran(yard, "bin/hello", "world", zip=zipped(f"file://{shelf}/app.zip"), env={"PATH": "/usr/bin:/bin"})
    assert output == "hello world from a file\n"


def test_it_is_for_one_attempt(yard, shelf):
    (shelf / "app.zip").write_bytes(APPLICATION)
    attempt = start(yard, "", argv=["bin/hello"], zip=zipped(f"file://{shelf}/app.zip"))
    yard.ended(attempt)
    assert (yard.work(attempt) / "bin" / "hello").exists(), "kept like all that a job leaves there"
    assert ran(yard, "ls") == "tmp\n"


def test_an_application_from_the_web(yard, web):
    address = web.page("/apps/app.zip", APPLICATION)
    assert ran(yard, "./bin/hello", zip=zipped(address, f"{web.url}/apps/")).startswith("hello ")


def test_what_the_application_does_not_hold_is_found_as_ever(yard, web):
    address = web.page("/app.zip", APPLICATION)
    assert ran(yard, "cat", "data.txt", zip=zipped(address)) == "a file\n"
    told = yard.ended(start(yard, "", argv=["no-such-program"], zip=zipped(address))).ending
    assert (told.exit_code, told.reason) == (
        127, 'CannotStartContainerError: exec: "no-such-program": executable file not found in $PATH',
    )  # fmt: skip
    assert yard.ended(start(yard, "", argv=["plain.txt"], zip=zipped(address))).ending.exit_code == 126


def test_the_server_says_where_an_object_is_and_what_is_secret(yard, web):
    url = web.page("/bucket/app.zip", APPLICATION) + "?X-Amz-Signature=abc"
    ask = web.answer(
        secrets={"default": {"SECRET": "pssst"}}, zip={"default": {"url": url, "headers": {"X-Note": "1"}}}, error=None
    )
    output = ran(yard, "bin/hello", zip=zipped("s3://bucket/app.zip", "s3://bucket/"), ask=ask, env={"PATH": "/bin"})
    assert output == "hello from a file pssst\n"
    (path, headers) = web.asked[-1]
    assert path == "/bucket/app.zip?X-Amz-Signature=abc" and headers["X-Note"] == "1"


def test_a_secret_alone(yard, web):
    ask = web.answer(secrets={"default": {"SECRET": "pssst"}}, error=None)
    assert ran(yard, "sh", "-c", "echo $SECRET $OPEN", ask=ask, env={"PATH": "/bin", "OPEN": "o"}) == "pssst o\n"


def test_why_the_server_will_not_tell(yard, web):
    ask = web.answer(error="ResourceInitializationError: unable to pull secrets or registry auth: no such secret")
    assert failure(yard, ask=ask).endswith("no such secret")


def test_a_stop_while_it_is_fetched(yard, web):
    attempt = start(yard, "", argv=["true"], zip=zipped(web.page("/slow.zip", APPLICATION)))
    yard.until(lambda: web.asked, "it is asked for")
    yard.stop(attempt)
    ending = yard.ended(attempt).ending
    assert ending.started_ms is None and ending.reason == "CannotStartContainerError: it was stopped before it began"
    assert ran(yard, "echo", "next") == "next\n"


def test_a_new_runner_while_it_is_fetched(yard, web):
    attempt = start(yard, "", argv=["bin/hello"], zip=zipped(web.page("/slow.zip", APPLICATION)))
    yard.until(lambda: web.asked, "it is asked for")
    assert attempt in yard.restart_runner().living
    web.release.set()
    assert yard.ended(attempt).ending.exit_code == 0


@pytest.mark.parametrize(
    ("address", "allowed", "words"),
    [
        ("{web}/app.zip", (), "the setting zip_from does not allow this address"),
        ("{web}/app.zip", ("{web}/apps",), "does not allow this address"),
        ("{web}/apps-of-others/app.zip", ("{web}/apps",), "does not allow this address"),
        ("{web}/apps/../app.zip", ("{web}/apps/",), "does not allow this address"),
        ("{web}/apps/%2e%2e/app.zip", ("{web}/apps/",), "does not allow this address"),
        ("{web}.evil.test/app.zip", ("{web}",), "does not allow this address"),
        ("s3://bucket/app.zip", ("s3://buck",), "does not allow this address"),
        ("s3://bucket/app.zip", ("s3://bucket",), "the server does not say where it is to be fetched"),
        ("file:///etc/passwd", ("file:///srv/apps/",), "does not allow this address"),
        ("{web}/missing.zip", ("{web}/",), "the answer is 404 Not Found"),
        ("{web}/page.zip", ("{web}/",), "it is not a sound zip archive"),
        ("{web}/large.zip", ("{web}/",), "it is larger than 4 MiB (setting zip_max_mib)"),
        ("{web}/short.zip", ("{web}/",), "the answer ended after"),
        ("{web}/evil.zip", ("{web}/",), "'../evil' leads out of it"),
        ("http://127.0.0.1:1/app.zip", ("http://127.0.0.1:1/",), "Connection refused"),
        ("{web}/away.zip", ("{web}/",), "redirects to http://127.0.0.1:1/app.zip, which is not allowed"),
        ("{web}/round.zip", ("{web}/",), "more than 5 redirects"),
        ("{web}/file.zip", ("{web}/",), "redirects to file:///etc/passwd, which is not allowed"),
    ],
)
def test_what_is_not_fetched(yard, web, address, allowed, words):
    web.page("/app.zip", APPLICATION)
    web.page("/apps-of-others/app.zip", APPLICATION)
    web.page("/page.zip", b"<html>" * 100)
    web.page("/large.zip", os.urandom(5 << 20))
    web.page("/short.zip", APPLICATION, Content_Length=str(len(APPLICATION) + 10))
    web.page("/evil.zip", archive(("../evil", "x")))
    web.page("/away.zip", b"", status=302, Location="http://127.0.0.1:1/app.zip?token=secret")
    web.page("/round.zip", b"", status=301, Location="/round.zip")
    web.page("/file.zip", b"", status=301, Location="file:///etc/passwd")
    told = zipped(
        address.format(web=web.url), *(prefix.format(web=web.url) for prefix in allowed or ("https://none/",))
    )
    reason = failure(yard, zip=told)
    assert reason.startswith(f"CannotPullContainerError: zip:{told['address']}: ") and words in reason
    assert ran(yard, "ls") == "tmp\n", "nothing of it is found by the next job"


def test_redirects_to_where_it_may_come_from(yard, web):
    web.page("/apps/v2.zip", APPLICATION)
    address = web.page("/apps/latest.zip", b"", status=302, Location="v2.zip")
    assert ran(yard, "bin/hello", zip=zipped(address, f"{web.url}/apps")).startswith("hello")


def test_files_that_are_elsewhere_than_they_seem(yard, shelf):
    (shelf / "apps").mkdir()
    (shelf / "other.zip").write_bytes(APPLICATION)
    (shelf / "apps" / "link.zip").symlink_to(shelf / "other.zip")
    os.mkfifo(shelf / "apps" / "pipe.zip")
    (shelf / "apps" / "large.zip").write_bytes(bytes(5 << 20))
    for name, words in (
        ("link.zip", f"it is {shelf}/other.zip, which the setting zip_from does not allow"),
        ("pipe.zip", "it is not a file"),
        ("large.zip", "it is larger than 4 MiB"),
        ("missing.zip", "No such file or directory"),
    ):
        told = zipped(f"file://{shelf}/apps/{name}", f"file://{shelf}/apps/")
        assert words in failure(yard, zip=told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's jobs can be another user")
def test_it_belongs_to_whom_the_job_runs_as(yard, web):
    address = web.page("/app.zip", APPLICATION)
    output = ran(yard, "stat", "-c", "%U %a", "bin/hello", ".", zip=zipped(address), user="nobody")
    assert output.splitlines()[0] == "nobody 755"


def test_the_keys_of_one_server_are_not_told_to_another(web, tmp_path):
    other = Web()
    try:
        target = other.page("/app.zip", APPLICATION)
        url = web.page("/app.zip", b"", status=307, Location=target)
        with open(tmp_path / "file", "wb") as file:
            headers = {"Authorization": "mine"}
            fetching.fetch(url, headers, lambda _: True, 1 << 20, file.fileno())
        assert web.asked[0][1]["Authorization"] == "mine"
        assert "Authorization" not in other.asked[0][1]
    finally:
        other.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_server_that_nobody_vouches_for(yard, web, tmp_path):
    name, key = tmp_path / "name.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-keyout", key, "-out", name], check=True, capture_output=True)
    secret = Web(ssl_name=name, ssl_key=key)
    try:
        reason = failure(yard, zip=zipped(secret.page("/app.zip", APPLICATION)))
        assert "certificate verify failed" in reason
        assert not secret.asked
        address = web.page("/app.zip", b"", status=302, Location=secret.url + "/app.zip")
        assert "certificate verify failed" in failure(yard, zip=zipped(address, web.url, secret.url))
    finally:
        secret.close()


def test_a_trickle_is_given_up(web, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "DEADLINE_S", -1.0)
    url = web.page("/app.zip", APPLICATION)
    with open(tmp_path / "file", "wb") as file, pytest.raises(fetching.FetchError, match="takes longer than"):
        fetching.fetch(url, {}, lambda _: True, 1 << 20, file.fileno())


def test_a_slot_goes_on_listening_while_it_prepares(yard, web):
    """Another job on another slot is not the point: the same slot answers a new runner at once."""
    attempt = start(yard, "", argv=["true"], zip=zipped(web.page("/slow.zip", APPLICATION)))
    yard.until(lambda: web.asked, "it is asked for")
    begun = time.monotonic()
    yard.restart_runner()
    assert time.monotonic() - begun < 20
    yard.stop(attempt)
    yard.ended(attempt)
