"""Backup and check over HTTP: signed, streamed in bounded pieces, closed whatever the client does."""

from __future__ import annotations

import asyncio
import json

import pytest

from batchyard.errors import Unavailable
from batchyard.ports.upkeep import Finding
from tests.api.caller import ENDPOINT, call, signed

HOST = ("host", "127.0.0.1:22824")


@pytest.mark.parametrize("path", ["/x/admin/backup", "/x/admin/check"])
def test_nobody_without_a_key_and_nothing_but_post(server, path):
    assert call(server.app, "POST", ENDPOINT + path, [HOST]).status == 403
    assert signed(server.app, "GET", path).status == 404
    assert signed(server.app, "POST", path, service="logs").status == 403
    assert not server.upkeep.archives


def test_a_backup_is_sent_with_its_length(server):
    answer = signed(server.app, "POST", "/x/admin/backup")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    assert answer.headers["content-length"] == "1051"
    assert answer.body == b"a" * 1000 + b"b" + b"c" * 50
    assert server.upkeep.archives[0].closed == 1


def test_no_caller_names_a_path(server):
    body = json.dumps({"path": "/tmp/evil", "file": "/tmp/evil"}).encode()
    assert signed(server.app, "POST", "/x/admin/backup", body).status == 200
    assert signed(server.app, "POST", "/x/admin/backup/../../../etc/passwd").status == 404


def test_what_keeps_it_from_being_made_is_an_ordinary_error(server, monkeypatch):
    def full():
        raise Unavailable("A backup needs 9 MiB.", "Make room.")

    monkeypatch.setattr(server.upkeep, "backup", full)
    answer = signed(server.app, "POST", "/x/admin/backup")
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")


def test_a_check_is_a_line_of_json_for_each_finding(server):
    server.upkeep.findings = [
        Finding("state.db", "ok", "Fine."),
        Finding("arrays", "broken", "array 7 ...", "Restore."),
    ]
    answer = signed(server.app, "POST", "/x/admin/check")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert "content-length" not in answer.headers
    assert [json.loads(line) for line in answer.body.splitlines()] == [f._asdict() for f in server.upkeep.findings]


def exchange(server, leave_after: int, fail: bool = False):
    """A signed request whose client leaves after so many pieces; what was sent."""
    scope: dict = {}

    async def captured(given, receive, send):
        scope.update(given)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    signed(captured, "POST", "/x/admin/backup")
    gone, sent = asyncio.Event(), []
    incoming = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        for message in incoming:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) == leave_after + 1:
            if fail:
                raise OSError("the connection is gone")
            gone.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def run():
        await server.app(scope, receive, send)

    asyncio.run(run())
    return sent


def test_a_client_that_leaves_ends_the_sending(server):
    sent = exchange(server, leave_after=1)
    archive = server.upkeep.archives[0]
    assert len(sent) == 2 and archive.sent < 3
    assert archive.closed == 1


def test_an_archive_is_closed_even_if_sending_fails(server):
    with pytest.raises(OSError, match="gone"):
        exchange(server, leave_after=1, fail=True)
    assert server.upkeep.archives[0].closed == 1


def test_one_piece_is_made_when_the_one_before_is_on_its_way(server):
    made_at_each_send = []
    app = server.app

    async def watching(scope, receive, send):
        async def note(message):
            if server.upkeep.archives:
                made_at_each_send.append(server.upkeep.archives[0].sent)
            await send(message)

        await app(scope, receive, note)

    assert signed(watching, "POST", "/x/admin/backup").status == 200
    assert made_at_each_send == [0, 1, 2, 3, 3]
