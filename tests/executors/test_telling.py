"""What an engine tells of its log by its API: in frames, of which those that are known are passed over."""

from __future__ import annotations

import socketserver
import struct
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from batchyard.executors.runner.containers.telling import Answers
from batchyard.executors.runner.wire import EngineAbout

BEGUN_S = 1_700_000_000  # 2023-11-14T22:13:20Z


class Handler(BaseHTTPRequestHandler):
    """Tells a list of (seconds after the first, stream, text) as docker does; it may break off, or refuse."""

    def do_GET(self) -> None:
        engine = self.server.engine
        asked = parse_qs(urlsplit(self.path).query)
        engine.asked.append(asked)
        if engine.refuses:
            self.send_error(501, "the driver does not support reading")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        since_s = int(asked["since"][0]) - BEGUN_S
        frames = b"".join(self._frame(*each) for each in engine.said if each[0] >= since_s)
        if engine.breaks_off and asked["follow"] == ["0"]:
            engine.breaks_off -= 1
            self._chunk(frames[: len(frames) // 2])
            self.close_connection = True
            return
        for at in range(0, len(frames), 7):
            self._chunk(frames[at : at + 7])
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    @staticmethod
    def _frame(after_s: int, stream: int, text: bytes) -> bytes:
        content = b"2023-11-14T22:13:%02d.000000001Z " % (20 + after_s) + text
        return struct.pack(">BxxxL", stream, len(content)) + content

    def address_string(self) -> str:
        return "a socket has none"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path):
    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(tmp_path / "s"), Handler) as server:
        server.engine = server
        server.said, server.asked, server.refuses, server.breaks_off = [], [], False, 0
        server.about = EngineAbout("docker", "", str(tmp_path / "s"), False, 1, False, "1.41", [])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def rest(source: Answers) -> list[tuple[int, bytes]]:
    """All that it tells once the container has ended."""
    runs: list[tuple[int, bytes]] = []
    while more := source.read(last=True):
        runs += more
    return runs


def text(runs) -> bytes:
    return b"".join(data for _, data in runs)


def test_frames_are_lines_with_their_times(engine):
    engine.said = [(0, 1, b"one\n"), (1, 2, b"two\n"), (1, 1, b"half"), (3, 1, b" line\n"), (3, 1, b"\xff\0")]
    told: dict[int, bytes] = {}
    for at_ms, data in rest(Answers(engine.about, "c", follow=True)):
        told[at_ms - BEGUN_S * 1000] = told.get(at_ms - BEGUN_S * 1000, b"") + data
    assert told == {0: b"one\n", 1000: b"two\nhalf", 3000: b" line\n\xff\0"}


@pytest.mark.parametrize("known", range(7))
def test_from_any_position_on_what_is_known_is_passed_over(engine, known):
    said = [(second, 1, b"%d\n" % number) for number, second in enumerate((0, 0, 1, 1, 1, 4, 5, 5))]
    engine.said = said[:known]
    before = Answers(engine.about, "c", follow=False)
    assert len(text(rest(before)).split()) == known
    engine.said = said
    after = Answers(engine.about, "c", follow=False)
    after.go_on_from(before.position)
    assert text(rest(after)) == b"".join(each[2] for each in said[known:])
    assert int(engine.asked[-1]["since"][0]) <= BEGUN_S + said[max(0, known - 1)][0], "it asks for little"


def test_an_answer_that_breaks_off_is_asked_for_again_from_where_it_came_to(engine, monkeypatch):
    monkeypatch.setattr("batchyard.executors.runner.containers.telling.AGAIN_S", 0.02)
    engine.said = [(number // 3, 1, b"%d\n" % number) for number in range(60)]
    engine.breaks_off = 3
    assert text(rest(Answers(engine.about, "c", follow=True))) == b"".join(b"%d\n" % number for number in range(60))
    assert len(engine.asked) == 4


def test_an_engine_that_refuses_is_asked_once(engine):
    engine.refuses = True
    source = Answers(engine.about, "c", follow=True)
    with pytest.raises(OSError, match="501"):
        source.read(last=True)
    assert source.read(last=True) == []
    assert len(engine.asked) == 1
