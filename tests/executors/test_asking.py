"""What a slot asks the server before a task starts, of servers that are there, restart, or talk nonsense."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from batchyard.executors.runner import asking
from batchyard.executors.runner.asking import FAILED, ask

NOTHING = {"secrets": {}, "auth": {}, "zip": {}}


def response(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    said = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nContent-Length: {said}\r\n\r\n".encode() + body


@contextmanager
def server(*answers: bytes, port: int = 0):
    """Gives each caller the next answer; yields its URL and the requests it got."""
    listener = socket.create_server(("127.0.0.1", port))
    got: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                got.append(caller.recv(65536))
                caller.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x/tasks/A.1/start", got
    finally:
        listener.close()
        thread.join(5)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(asking, "PAUSE_S", 0.01)


def test_it_is_told_what_the_task_needs():
    answer = {"secrets": {"default": {"PASSWORD": "s3cret"}}, "error": None}
    with server(response(json.dumps(answer).encode())) as (url, got):
        assert ask(url, "TOKEN") == NOTHING | answer
    assert got[0].startswith(b"GET /x/tasks/A.1/start HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer TOKEN\r\n" in got[0]


def test_why_the_task_cannot_start_is_passed_on():
    why = FAILED + "secret DB is nowhere"
    with server(response(json.dumps({"error": why}).encode())) as (url, _):
        assert ask(url, "TOKEN") == NOTHING | {"error": why}


def test_a_server_that_restarts_is_asked_again():
    with server() as (url, _):
        port = int(url.split(":")[2].split("/")[0])
    answered: list[dict] = []
    asker = threading.Thread(target=lambda: answered.append(ask(url, "TOKEN", wait_s=20)))
    asker.start()
    time.sleep(0.05)
    busy, cut, whole = response(b"{}", "503 Busy"), response(b'{"err', length=200), response(b'{"error": null}')
    with server(busy, cut, whole, port=port):
        asker.join(20)
    assert answered == [NOTHING | {"error": None}]


def test_a_server_that_stays_away_is_named():
    with server() as (url, _):
        pass
    said = ask(url, "TOKEN", wait_s=0.05)["error"]
    assert said.startswith(f"{FAILED}the server at http://127.0.0.1:")
    assert "did not answer within 0.05 s" in said
    assert "TOKEN" not in said


def test_who_gives_up_does_not_wait():
    with server() as (url, _):
        pass
    assert ask(url, "TOKEN", wait_s=1e9, given_up=lambda: True)["error"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (response(b'{"message": "The attempt has ended."}', "404 Not Found"), "The attempt has ended."),
        (response(b"[]", "500 Oops"), "answered 500 with something else than JSON"),
        (response(b'{"message": null}', "403 No"), "answered 403"),
    ],
)
def test_a_refusal_is_the_reason(answer, said):
    with server(answer) as (url, _):
        assert said in ask(url, "TOKEN")["error"]


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(asking, "ANSWER_MAX", 1000)
    with server(response(b"x" * 5000)) as (url, _):
        assert "larger than 1000 bytes" in ask(url, "TOKEN", wait_s=0)["error"]
