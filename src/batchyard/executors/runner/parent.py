"""The runner: gives attempts to slots, forks slots as needed, carries news to whoever asks, forgets nothing.

What is true is on disk: a file in ``runner/exits`` is a claim while empty and an exit record afterwards. A new runner
finds the living slots by their sockets and everything else there.
"""

from __future__ import annotations

import json
import logging
import os
import pwd
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from batchyard.executors.runner import about, memory, orders, own_log, sandbox, seats, slot
from batchyard.executors.runner.choice import Choice
from batchyard.executors.runner.seats import Seat
from batchyard.executors.runner.sweep import SWEEP_S, sweep_containers, sweep_records, sweep_work
from batchyard.executors.runner.wire import SOCKET, VERSION, Lines, connect, listen, record

log = logging.getLogger("batchyard.runner")

LINGER_S = 10.0  # without a server and without a job, the runner leaves after this
IDLE_S = 60.0  # an idle slot is let go after this
QUIT_S = 3.0
FORKS_PER_ORDER = 3  # a start whose slot dies before it claimed goes to another slot, so many times in all
STEADY_S = 60.0  # a slot that held an attempt for so long did not die of it
NOBODY = 65534
QUIET_S = 0.5  # without news for so long is a quiet moment
RELEASED_MOST = 20_000  # records that wait for one


class Runner:
    """One per data directory; the caller holds the lock."""

    def __init__(self, place: slot.Place, weaker: list[str], choice: Choice, work_keep_hours: float):
        self._place = place._replace(engine=choice.engine)
        self._weaker = weaker
        self._choice = choice
        self._keep_s = work_keep_hours * 3600
        self._swept_s = -SWEEP_S
        about.write(self._place, weaker, choice.failure)
        runner = self._log_in = os.path.join(place.data, "runner")
        self._runner = os.open(runner, os.O_RDONLY | os.O_DIRECTORY)
        self._slots = os.open(os.path.join(runner, "slots"), os.O_RDONLY | os.O_DIRECTORY)
        self._exits = os.open(os.path.join(runner, "exits"), os.O_RDONLY | os.O_DIRECTORY)
        self._orders = os.open(os.path.join(runner, "orders"), os.O_RDONLY | os.O_DIRECTORY)
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._clients: dict[int, Lines] = {}
        self._seats: dict[str, Seat] = {}
        self._idle: list[Seat] = []
        self._attempts: dict[str, Seat | None] = {}  # None: ended (a record) or lost (an empty claim)
        self._released: list[str] = []
        self._forked = 0
        self._alone_since_s = time.monotonic()
        self._default = _default_identity(place.isolation)

    # -- the loop -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until nobody needs us."""
        self._attempts = dict.fromkeys(name for name in os.listdir(self._exits) if not name.startswith("."))
        self._adopt()
        self._take_over()
        log.info("ready", extra={"adopted": len(self._seats), "known": len(self._attempts)})
        if self._place.groups:
            memory.remove_stale(self._place.groups, set(self._seats))
        self._listener = listen(self._runner, SOCKET, 16)
        self._watch(self._listener, self._meet)
        while not self._over():
            ready = self._poll.poll(QUIET_S if self._released else 1.0)
            for descriptor, _ in ready:
                reader = self._readers.get(descriptor)
                if reader is not None:
                    reader()
            if (self._released and not ready) or len(self._released) > RELEASED_MOST:
                self._forget_released()
            for client in list(self._clients.values()):
                if not client.flush():
                    self._poll.modify(client.fileno(), select.EPOLLIN | select.EPOLLOUT)
            self._tidy()
        for seat in self._seats.values():
            seat.lines.send(b'{"op":"quit"}')
            seat.lines.flush()
        os.unlink(SOCKET, dir_fd=self._runner)
        for seat in self._seats.values():
            if seat.pidfd is not None:
                seats.ended(seat.pidfd, QUIT_S)
        if self._place.groups:
            memory.remove_base(self._place.groups)

    def _over(self) -> bool:
        busy = len(self._idle) < len(self._seats)
        if self._clients or busy:
            self._alone_since_s = time.monotonic()
        return time.monotonic() - self._alone_since_s > LINGER_S

    def _watch(self, source: socket.socket | Lines | int, reader: Callable[[], None]) -> None:
        descriptor = source if isinstance(source, int) else source.fileno()
        self._readers[descriptor] = reader
        self._poll.register(descriptor, select.EPOLLIN)

    def _unwatch(self, source: Lines | int) -> None:
        descriptor = source if isinstance(source, int) else source.fileno()
        if self._readers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _tidy(self) -> None:
        """Reap what ended and let go of slots that were idle for long."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        while self._idle and time.monotonic() - self._idle[0].idle_since_s > IDLE_S:
            seat = self._idle.pop(0)
            seat.attempt = ""  # not idle, not running anything: leaving
            seat.lines.send(b'{"op":"quit"}')
            seat.lines.flush()
        if len(self._idle) == len(self._seats) and self._choice.try_again():
            self._place = self._place._replace(engine=self._choice.engine)
            about.write(self._place, self._weaker, None)
            self._tell(self._hello())
        own_log.shorten(self._log_in)
        if time.monotonic() - self._swept_s > SWEEP_S:
            self._swept_s = time.monotonic()
            sweep_work(self._place.data, time.time() - self._keep_s, self._attempts)

    # -- servers --------------------------------------------------------------------------------------------------

    def _meet(self) -> None:
        connection, _ = self._listener.accept()
        _, uid, _ = seats.peer(connection)
        if uid not in (0, os.geteuid()):
            connection.close()
            return
        client = Lines(connection)
        self._clients[client.fileno()] = client
        client.send(self._hello())
        self._watch(client, lambda: self._listen_to(client))

    def _hello(self) -> bytes:
        choice, told = self._choice, {"op": "hello", "version": VERSION, "isolation": self._place.isolation}
        told |= {"weaker": self._weaker, "memory_groups": self._place.groups is not None}
        told |= {"engine": about.engine(choice.engine), "engine_failure": choice.failure}
        return _line(told | {"executor": choice.executor, "sockets": choice.sockets})

    def _listen_to(self, client: Lines) -> None:
        for line in client.receive():
            order = json.loads(line)
            if order["op"] == "start":
                self._start(order["attempt"], order, line, client)
            elif order["op"] == "stop":
                self._pass_on(order["attempt"], line)
            elif order["op"] == "release":
                self._release(order["attempt"])
            elif order["op"] == "inventory":
                self._take_stock(client)
            elif order["op"] == "quit":
                self._quit()
        if not client.open:
            self._unwatch(client)
            del self._clients[client.fileno()]
            client.close()
        elif client.flush():
            self._poll.modify(client.fileno(), select.EPOLLIN)

    def _start(self, attempt: str, order: dict, line: bytes, client: Lines) -> None:
        """Give the order to a slot; an attempt that was started before is answered with its news."""
        if attempt in self._attempts:
            self._answer(attempt, client)
            return
        if order.get("refused"):
            self._refuse(attempt, order["refused"], "refused")
            return
        if order.get("how") == "container":
            self._start_in_container(attempt, line)
            return
        try:
            self._give(attempt, self._identity(order["user"]), line, 1)
        except KeyError:
            self._refuse(attempt, f"unable to find user {order['user']}: no matching entries in passwd file")

    def _start_in_container(self, attempt: str, line: bytes) -> None:
        if self._place.engine is None:
            why = f"no container engine runs containers here ({self._choice.failure})"
            self._refuse(attempt, f"CannotStartContainerError: {why}", "not_started")
        else:
            self._give(attempt, None, line, 1)

    def _take_over(self) -> None:
        """Go on with attempts in containers that are not over and that no living slot holds."""
        for attempt in os.listdir(self._orders):
            if self._attempts.get(attempt, self) is None and not self._has_record(attempt):
                self._resume(attempt, 1)
            elif self._attempts.get(attempt) is None:
                orders.forget(self._orders, attempt)
        self._sweep_containers()

    def _resume(self, attempt: str, tries: int, stop: bytes = b"") -> None:
        """Have a slot take over what another has left, and what that one was told to stop."""
        log.warning("its slot is gone: another one goes on with it", extra={"attempt": attempt})
        self._give(attempt, None, _line({"op": "resume", "attempt": attempt}), tries)
        if stop:
            self._pass_on(attempt, stop)

    def _sweep_containers(self) -> None:
        if self._place.engine is not None:
            sweep_containers(self._place.data, self._place.engine)

    def _give(self, attempt: str, identity: sandbox.Identity | None, line: bytes, tries: int) -> None:
        seat = next((idle for idle in reversed(self._idle) if idle.identity == identity), None)
        if seat is not None:
            self._idle.remove(seat)
        else:
            try:
                seat = self._fork(identity)
            except OSError as error:
                self._refuse(attempt, f"no process can be made to hold it: {error.strerror}")
                return
        log.debug("given", extra={"attempt": attempt, "slot": seat.name})
        self._attempts[attempt] = seat
        seat.attempt, seat.order, seat.started, seat.tries = attempt, line, None, tries
        seat.given_s = time.monotonic()
        seat.lines.send(line)
        seat.lines.flush()

    def _refuse(self, attempt: str, message: str, member: str = "start_error") -> None:
        """Record an attempt that no slot was asked to run as one that failed to start, for the reason in `member`."""
        log.warning("refused: %s", message, extra={"attempt": attempt})
        self._write_record(attempt, **{member: message})
        self._attempts[attempt] = None
        for client in self._clients.values():
            self._answer(attempt, client)

    def _write_record(self, attempt: str, **known: object) -> None:
        """The exit record of an attempt that no slot can tell of. Raises OSError when the disk is full."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(attempt, flags, 0o600, dir_fd=self._exits), "wb") as file:
            file.write(_line(record(attempt, **known)))

    def _answer(self, attempt: str, client: Lines) -> None:
        """Tell `client` how the attempt stands, if there is anything to tell yet."""
        seat = self._attempts[attempt]
        if seat is not None:
            if seat.started is not None:
                client.send(seat.started)
            return
        with suppress(FileNotFoundError), open(attempt, "rb", opener=self._open_exit) as file:
            told = file.read()
            client.send(told if told.endswith(b"}") else _line({"op": "lost", "attempt": attempt}))

    def _open_exit(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CLOEXEC, dir_fd=self._exits)

    def _take_stock(self, client: Lines) -> None:
        for attempt in self._attempts:
            self._answer(attempt, client)
        living = [attempt for attempt, seat in self._attempts.items() if seat is not None]
        client.send(_line({"op": "survey", "living": living}))

    def _pass_on(self, attempt: str, line: bytes) -> None:
        seat = self._attempts.get(attempt)
        if seat is not None:
            seat.stop = line
            seat.lines.send(line)
            seat.lines.flush()

    def _release(self, attempt: str) -> None:
        if self._attempts.get(attempt, self) is None:
            del self._attempts[attempt]
            self._released.append(attempt)

    def _forget_released(self) -> None:
        """Remove records whose endings the server has: together, since each waits for the file system's journal."""
        sweep_records(self._place.data, self._released)
        self._released = []

    def _tell(self, line: bytes) -> None:
        for client in self._clients.values():
            client.send(line)

    def _quit(self) -> NoReturn:
        """End every slot with its job, then ourselves."""
        for seat in self._seats.values():
            seat.lines.send(b'{"op":"quit"}')
            seat.lines.flush()
        deadline = time.monotonic() + QUIT_S
        for seat in self._seats.values():
            if seat.pidfd is None:  # it has not said hello yet
                seat.pidfd = seats.greeting(seat.lines, deadline)[1]
            if seat.pidfd is not None and not seats.ended(seat.pidfd, deadline - time.monotonic()):
                signal.pidfd_send_signal(seat.pidfd, signal.SIGKILL)
                seats.ended(seat.pidfd, QUIT_S)
        self._sweep()
        for name in os.listdir(self._slots):
            os.unlink(name, dir_fd=self._slots)
        os.unlink(SOCKET, dir_fd=self._runner)
        if self._place.groups:
            memory.remove_base(self._place.groups)
        os._exit(0)

    # -- slots ----------------------------------------------------------------------------------------------------

    def _identity(self, user: str | None) -> sandbox.Identity:
        """Whom to run as. Only root can be somebody else. Raises KeyError for an unknown user."""
        if user is None or os.geteuid() != 0 or self._place.isolation == sandbox.USER_NAMESPACES:
            return self._default
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            if not user.isdigit():
                raise
            try:
                entry = pwd.getpwuid(int(user))
            except KeyError:
                return sandbox.Identity(int(user), 0 if user == "0" else NOBODY, ())
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        return sandbox.Identity(entry.pw_uid, entry.pw_gid, tuple(groups))

    def _fork(self, identity: sandbox.Identity | None) -> Seat:
        """Make a slot; orders may be sent to it at once."""
        self._forked += 1
        name = f"{os.getpid()}-{self._forked}"
        listener = listen(self._slots, name, 4)
        if os.fork() == 0:
            slot.begin(name, listener, self._place, identity)
        connection = connect(self._slots, name)
        listener.close()
        return self._seat(name, Lines(connection), identity)

    def _seat(self, name: str, lines: Lines, identity: sandbox.Identity | None) -> Seat:
        seat = self._seats[name] = Seat(name, lines, identity)
        self._watch(lines, lambda: self._hear(seat))
        return seat

    def _hear(self, seat: Seat) -> None:
        """News from a slot; passed on as it came."""
        if seat.pidfd is None:
            lines, seat.pidfd = seat.lines.receive_with_descriptor()
            lines = lines[1:] if seat.pidfd is not None else lines  # a fresh slot's hello says nothing new
        else:
            lines = seat.lines.receive()
        for line in lines:
            if line.startswith(b'{"op":"started"'):
                seat.started, seat.order = line, b""
                self._tell(line)
            elif line.startswith((b'{"op":"ended"', b'{"op":"lost"')):
                self._tell(line)
                self._free(seat)
            elif line.startswith(b'{"op":"refused"'):
                self._free(seat)
        if not seat.lines.open:
            self._unwatch(seat.lines)
            seat.lines.close()
            self._await_death(seat)

    def _free(self, seat: Seat) -> None:
        assert seat.attempt is not None
        self._attempts[seat.attempt] = None
        seat.attempt, seat.order, seat.started, seat.stop = None, b"", None, b""
        seat.idle_since_s = time.monotonic()
        self._idle.append(seat)

    def _await_death(self, seat: Seat) -> None:
        """Its socket is closed: it is dying, or was told to make way. Its attempt is lost when nothing is left."""
        if seat in self._idle:
            self._idle.remove(seat)
        if seat.pidfd is None:
            self._bury(seat)
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(seat.pidfd, signal.SIGKILL)
        self._watch(seat.pidfd, lambda: self._bury(seat))

    def _bury(self, seat: Seat) -> None:
        """The slot is dead and, with its PID namespace, so is all that its job started."""
        if seat.pidfd is not None:
            self._unwatch(seat.pidfd)
            os.close(seat.pidfd)
        del self._seats[seat.name]
        self._sweep()
        for name, directory in ((seat.name, self._slots), (f".{seat.name}", self._exits)):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
        kills = 0
        if self._place.groups:
            kills = memory.oom_kills(self._place.groups, seat.name)
            memory.remove(self._place.groups, seat.name)
        attempt = seat.attempt
        if not attempt:
            return
        if seat.identity is None and self._goes_on(attempt, seat):
            return
        log.warning("a slot ended with its job", extra={"attempt": attempt, "slot": seat.name})
        self._attempts[attempt] = None
        if not self._is_claimed(attempt):
            del self._attempts[attempt]
            if seat.order and seat.tries < FORKS_PER_ORDER:
                self._give(attempt, seat.identity, seat.order, seat.tries + 1)
            else:
                self._refuse(attempt, "the process that was made to hold it ended before it began")
            return
        self._blame_memory(attempt, seat.started, kills)
        for client in self._clients.values():
            self._answer(attempt, client)

    def _goes_on(self, attempt: str, seat: Seat) -> bool:
        """Whether another slot takes over what a dead one held in containers. They live on without it."""
        if not self._is_claimed(attempt) or self._has_record(attempt):
            self._sweep_containers()
            return False
        tries = 1 if time.monotonic() - seat.given_s > STEADY_S else seat.tries + 1
        if tries <= FORKS_PER_ORDER:
            self._resume(attempt, tries, seat.stop)
            return True
        orders.forget(self._orders, attempt)
        self._sweep_containers()
        return False

    def _blame_memory(self, attempt: str, started: bytes | None, kills: int) -> None:
        """Record the end of an attempt whose slot the kernel killed with it: it was too large, nothing was lost."""
        if started is None or self._has_record(attempt):
            return
        told = json.loads(started)
        if kills > told.get("oom_kills", kills):
            with suppress(OSError):  # without room on the disk it is lost, as it would be without us
                self._write_record(attempt, started_ms=told["at_ms"], signal=signal.SIGKILL, oom=True)

    def _has_record(self, attempt: str) -> bool:
        with open(attempt, "rb", opener=self._open_exit) as file:
            return file.read().endswith(b"}")

    def _is_claimed(self, attempt: str) -> bool:
        try:
            os.stat(attempt, dir_fd=self._exits)
            return True
        except FileNotFoundError:
            return False

    def _sweep(self) -> None:
        """Without PID namespaces, what a dead slot's job left has become our child: end it."""
        if self._place.isolation != sandbox.SESSION:
            return
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        slots = {seats.pid_of(seat.pidfd) for seat in self._seats.values() if seat.pidfd is not None}
        forked_just_now = any(seat.pidfd is None for seat in self._seats.values())
        if forked_just_now:
            return  # a child of ours is not known yet; the next burial sweeps
        for pid in sandbox.descendants(os.getpid()):
            if pid not in slots and not slots.intersection(seats.ancestors(pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _adopt(self) -> None:
        """Take over the slots that live on from an earlier runner."""
        for name, lines, hello, pidfd in seats.living(self._slots, self._exits):
            seat = self._seat(name, lines, seats.identity_of(hello))
            seat.pidfd, seat.attempt = pidfd, hello["attempt"]
            if seat.attempt is None:
                self._idle.append(seat)
            else:
                self._attempts[seat.attempt] = seat
                if hello["started_ms"] is not None:
                    started = {"op": "started", "attempt": seat.attempt, "at_ms": hello["started_ms"]}
                    seat.started = _line(started | {name: hello[name] for name in ("oom_kills",) if name in hello})


def _default_identity(isolation: str) -> sandbox.Identity:
    """The runner's own user; but never root where root's reach cannot be limited."""
    if isolation == sandbox.SESSION and os.geteuid() == 0:
        return sandbox.Identity(NOBODY, NOBODY, ())
    return sandbox.Identity(os.geteuid(), os.getegid(), tuple(os.getgroups()))


def _line(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
