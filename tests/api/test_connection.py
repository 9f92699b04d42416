"""Bounds of a connection, with short times and small numbers in place of the real ones: uvicorn in this process."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvicorn

from batchyard.api import connection
from batchyard.api.connection import Door
from tests.harness.raw import Answer

HEALTH = b"GET /x/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"POST /v1/submitjob HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
PATIENCE_S = 10  # of a test with what must come


class Client:
    """One connection to the server under test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)

    async def answer(self) -> Answer:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines)
        body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), PATIENCE_S)
        return Answer(int(first.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """All until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except ConnectionResetError:
            return b""


class Town:
    """The server, its door, and the connections to it."""

    def __init__(self, app, door: Door):
        self.door = door
        config = uvicorn.Config(
            app, http=door, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=PATIENCE_S
        )
        self.server = uvicorn.Server(config)
        self.clients: list[Client] = []

    async def __aenter__(self) -> Town:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.serving = asyncio.create_task(self.server._serve([self.sock]))
        while not self.server.started:
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_) -> None:
        for client in self.clients:
            client.writer.close()
        self.server.should_exit = True
        await asyncio.wait_for(self.serving, PATIENCE_S)

    async def connect(self, *pieces: bytes) -> Client:
        client = Client(*await asyncio.open_connection(*self.sock.getsockname()))
        self.clients.append(client)
        client.send(*pieces)
        return client

    async def settled(self, condition) -> None:
        for _ in range(PATIENCE_S * 200):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("waited in vain")


def serve(server, story, **bounds) -> None:
    """Run `story(town)` against the application."""

    async def main() -> None:
        async with Town(server.app, Door(**bounds)) as town:
            await story(town)

    asyncio.run(main())


@pytest.mark.parametrize("sent", [b"", b"GET", HALF, HEALTH + b"GET /x"], ids=["silent", "line", "body", "second"])
def test_who_never_finishes_a_request_is_cut(server, monkeypatch, sent):
    monkeypatch.setattr(connection, "RECEIVE_S", 0.05)

    async def story(town):
        slow = await town.connect(sent)
        if sent.startswith(HEALTH):
            assert (await slow.answer()).status == 200
        assert await slow.rest() == b""

    serve(server, story)


def test_who_takes_no_answer_is_cut(server, monkeypatch):
    async def story(town):
        deaf = await town.connect()
        deaf.writer.transport.pause_reading()
        deaf.send(HEALTH * 900)
        for _ in range(100):  # its own buffers must fill first
            deaf.send(HEALTH * 500)
            await asyncio.sleep(0)
        await town.settled(lambda: not town.server.server_state.connections)

    monkeypatch.setattr(connection, "RECEIVE_S", 0.2)
    monkeypatch.setattr(connection, "QUEUED_MAX", 1_000_000)
    serve(server, story)


def test_the_longest_waiting_makes_room_for_the_next(server):
    async def story(town):
        idle = [await town.connect(HALF) for _ in range(3)]
        await town.settled(lambda: len(town.door._waiting) == 3)
        idle[0].send(b" " * 999)  # whole at last: refused for lack of a signature, and idle from now on
        assert (await idle[0].answer()).status == 403
        fourth = await town.connect(HEALTH)
        assert (await fourth.answer()).status == 200
        assert await idle[1].rest() == b""
        idle[0].send(HEALTH)
        assert (await idle[0].answer()).status == 200
        idle[2].send(b" " * 999)
        assert (await idle[2].answer()).status == 403

    serve(server, story, connections_max=3)


def test_unfinished_bodies_are_held_up_to_a_bound(server, monkeypatch):
    monkeypatch.setattr(connection, "HELD_MAX", 2500)

    async def story(town):
        silent = await town.connect()
        await town.settled(lambda: len(town.door._waiting) == 1)
        first = await town.connect(HALF, b" " * 998)
        await town.settled(lambda: town.door.held == 999)
        second = await town.connect(HALF, b" " * 998)
        await town.settled(lambda: town.door.held == 1998)
        third = await town.connect(HALF, b" " * 998)
        assert await first.rest() == b""
        for client in (second, third):
            client.send(b" ")
            assert (await client.answer()).status == 403
        silent.send(HEALTH)  # it held nothing and was let be
        assert (await silent.answer()).status == 200
        assert town.door.held == 0

    serve(server, story)


def test_requests_sent_ahead_are_answered_in_order_up_to_a_bound(server, monkeypatch):
    monkeypatch.setattr(connection, "QUEUED_MAX", 5)
    unknown = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def story(town):
        client = await town.connect((HEALTH + unknown) * 3)
        assert [(await client.answer()).status for _ in range(6)] == [200, 404] * 3
        client.send(HEALTH * 50)
        assert (await client.answer()).status == 200
        assert b"HTTP/1.1 200" not in await client.rest()

    serve(server, story)


def test_garbage_after_a_request_does_not_become_its_answer(server):
    async def story(town):
        client = await town.connect(HEALTH + b"\0\0\0")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.rest() == b""
        client = await town.connect(HALF.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked"), b"garbage")
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "ClientException")
        assert await client.rest() == b""

    serve(server, story)


@pytest.mark.parametrize("extra", [b"X: " + b"y" * 200_000, b"X: y\r\n" * 40_000, b"X: " + b"y" * (127 << 10)])
def test_a_head_has_a_bound(server, extra):
    async def story(town):
        client = await town.connect(HEALTH[:-2] + extra + b"\r\n\r\n")
        too_long = len(extra) > connection.HEAD_MAX
        try:
            answer = await client.answer()
        except ConnectionError:  # cut while it was sending
            assert too_long
            return
        assert answer.status == (413 if too_long else 200)
        assert not too_long or answer.code == "RequestEntityTooLargeException"

    serve(server, story)


def test_a_head_that_comes_in_pieces_has_the_same_bound(server):
    async def story(town):
        client = await town.connect(HEALTH[:-2] + b"X: ")
        with pytest.raises(ConnectionError):
            for _ in range(1000):  # 16 MiB if nobody stops it
                client.send(b"y" * (16 << 10))
                await client.writer.drain()
                await asyncio.sleep(0)

    serve(server, story)


def test_a_trailer_is_not_a_header(server):
    async def story(town):
        request = b"GET /x/health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        client = await town.connect(request + b"Origin: http://evil.example\r\nHost: evil.example\r\n\r\n")
        assert (await client.answer()).status == 200
        client.send(HEALTH)
        assert (await client.answer()).status == 200

    serve(server, story)


def test_an_upgrade_is_answered_like_any_request_and_closed(server):
    async def story(town):
        client = await town.connect(HEALTH[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.rest() == b""

    serve(server, story)


def test_a_server_that_ends_waits_for_nobody_who_has_not_asked(server, caplog):
    async def story(town):
        half = await town.connect(HALF)
        await town.settled(lambda: town.door.held == 1)
        town.server.should_exit = True
        assert await half.rest() == b""

    serve(server, story)
    assert "Exception" not in caplog.text and "graceful" not in caplog.text
