"""What the engine itself tells of its log: where we may not read its files, or where they are another machine's.

Its answers come in frames, one for each line or part of one, and begin at any second that it is asked for. So how many
frames since a second are known is all that must be remembered; they are passed over when they come again.
"""

from __future__ import annotations

import queue
import struct
import threading
import time
from collections import Counter
from contextlib import closing

from docker import APIClient
from requests import HTTPError

from batchyard.executors.runner.containers.lines import Message, Run, at_ms, runs_of
from batchyard.executors.runner.wire import EngineAbout

WAITING_PIECES = 256  # then the engine waits; the container does not
TURN_BYTES = 1 << 20
SILENCE_S = 240  # then it is asked again, in case nobody is there any more
AGAIN_S = 1.0  # after an answer has ended
ATTEMPTS = 5  # at what must not be missed
HEAD = struct.Struct(">BxxxL")
SECOND = 19  # so much of a time

Position = tuple[int, int]  # (a second of the epoch, how many frames since then are known)


class Answers:
    """reading.Source by the engine's API. `follow`: have it tell what comes; else it is asked again and again."""

    def __init__(self, engine: EngineAbout, container: str, follow: bool):
        self._engine = engine
        self._container = container
        self._follow = follow
        self._position: Position = (0, 0)
        self._known: Counter[int] = Counter()  # frames of the last two seconds of which there are any
        self._passing = 0  # frames that are known and come again
        self._rest = b""
        self._answer: _Answer | None = None
        self._again_s = 0.0
        self._is_last = False
        self._attempts = 0
        self._failure: OSError | None = None

    @property
    def position(self) -> Position:
        return self._position

    def go_on_from(self, position: Position) -> bool:
        self._position = (position[0], position[1])
        return True

    def read(self, last: bool) -> list[Run]:
        if last and not self._is_last:
            self.close()  # what it has not told by now comes in the last answer
            self._is_last, self._again_s = True, 0.0
        runs: list[Run] = []
        while not runs and self._is_asked():
            data, ended = self._answer.taken(wait=last)
            runs = self._told(self._rest + data)
            if ended:
                self._end(self._answer.failure)
            elif not data:
                break
        if self._failure is not None and not runs:  # what came before it is told first
            failure, self._failure = self._failure, None
            raise failure
        return runs

    def _is_asked(self) -> bool:
        """Ask where no answer is under way and it is time to; whether one is under way."""
        if self._answer is None and time.monotonic() >= self._again_s:
            second, self._passing = self._position
            self._known.clear()
            self._rest = b""
            self._answer = _Answer(self._engine, self._container, self._follow and not self._is_last, second)
        return self._answer is not None

    def _end(self, failure: OSError | None) -> None:
        took_s = time.monotonic() - self._answer.begun_s
        self._answer = None
        if not self._is_last:
            self._again_s = time.monotonic() + max(AGAIN_S, 4 * took_s)
        elif failure is None:
            self._again_s = float("inf")
        else:
            self._attempts += 1
            if self._attempts == ATTEMPTS or isinstance(failure, HTTPError):
                self._again_s, self._failure = float("inf"), failure
                return
            time.sleep(AGAIN_S / 2)

    def _told(self, data: bytes) -> list[Run]:
        """What the whole frames in `data` say that was not known; what is left of `data` is kept."""
        messages = []
        at, second, text = 0, 0, ""
        while at + HEAD.size <= len(data):
            stream, size = HEAD.unpack_from(data, at)
            begin = at + HEAD.size
            if begin + size > len(data):
                break
            at = begin + size
            message = Message.of_frame(stream, data[begin:at])
            if message.time[:SECOND] != text:
                text, second = message.time[:SECOND], at_ms(message.time) // 1000
            if not self._is_known(second):
                messages.append(message)
        self._rest = data[at:]
        if messages:
            self._position = (min(self._known), self._known.total())
        return runs_of(messages)

    def _is_known(self, second: int) -> bool:
        """Count one more frame. What the engine has thrown away does not come again: then fewer are passed over."""
        self._known[second] += 1
        if len(self._known) > 2:
            del self._known[min(self._known)]
            self._passing = 0
        self._passing -= 1
        return self._passing >= 0

    def close(self) -> None:
        if self._answer is not None:
            self._answer.leave()
            self._answer = None


class _Answer:
    """An answer on its way, taken by a thread of its own: the slot waits for nobody."""

    def __init__(self, engine: EngineAbout, container: str, follow: bool, since_s: int):
        self.begun_s = time.monotonic()
        self.failure: OSError | None = None
        self._pieces: queue.Queue[bytes] = queue.Queue(WAITING_PIECES)  # an empty one is the last
        self._left = threading.Event()
        parameters = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow), "since": since_s}
        arguments = (engine, f"/containers/{container}/logs", parameters)
        threading.Thread(target=self._take, args=arguments, name="telling", daemon=True).start()

    def taken(self, wait: bool) -> tuple[bytes, bool]:
        """What has come by now, and whether the answer is at its end. With `wait` it is waited for."""
        pieces, size = [], 0
        while size < TURN_BYTES:
            try:
                piece = self._pieces.get(block=wait and not pieces)
            except queue.Empty:
                break
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces), False

    def leave(self) -> None:
        """Nobody takes any more of it."""
        self._left.set()

    def _take(self, engine: EngineAbout, path: str, parameters: dict[str, int]) -> None:
        try:
            with closing(APIClient(f"unix://{engine.socket}", engine.api, SILENCE_S)) as client:
                client.trust_env = False  # proxies are not for a socket
                address = f"{client.base_url}/v{engine.api}{path}"
                with client.get(address, params=parameters, stream=True, timeout=SILENCE_S) as response:
                    response.raise_for_status()
                    for piece in response.iter_content(None):
                        self._hand(piece)
                        if self._left.is_set():
                            return
        except OSError as error:  # all that requests raises is one
            self.failure = error
        self._hand(b"")

    def _hand(self, piece: bytes) -> None:
        while not self._left.is_set():
            try:
                self._pieces.put(piece, timeout=AGAIN_S)
                return
            except queue.Full:
                pass
