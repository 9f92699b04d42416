"""The one place where ports meet adapters: settings in, running processes out.

``serve`` is the supervisor. It holds the data directory's lock, migrates the files, opens the listening socket (which
outlives a restart of the api, so callers queue instead of being refused), and keeps three children alive:

* ``api`` answers HTTP and writes requests.db,
* ``engine`` decides and writes state.db,
* ``runner`` holds the jobs; it lives in a session of its own, outlives the others, and is started only if none lives.

api and engine inherit the lock, so the next ``serve`` waits until the last of them is gone, and a pipe whose end tells
them that ``serve`` died.
"""

from __future__ import annotations

import fcntl
import http.client
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard import config
from batchyard.config import Settings
from batchyard.errors import Unavailable
from batchyard.model.needs import Needs

if TYPE_CHECKING:
    from batchyard.access.keys import Key
    from batchyard.api.context import Context

log = logging.getLogger("batchyard.serve")

LOCK_WAIT_S = 10.0  # children of a serve that was killed end within this
READY_WAIT_S = 30.0
TICK_S = 0.2
STOP_WAIT_S = 5.0
RESTART_WAIT_S = (0.0, 0.1, 0.5, 2.0, 5.0)  # after so many early ends in a row
STAYS_UP_S = 10.0
PROVIDER, PRETEND = "local", "pretend"  # names of executors; `pretend` serves many providers


class ServeError(Exception):
    """The server cannot start; the message says why and what to do."""


class AlreadyServing(ServeError):
    """Another server holds the data directory."""


class PortTaken(ServeError):
    """Something else listens on the port."""


# -- the supervisor ------------------------------------------------------------------------------------------------


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> int:
    """Run in the foreground until SIGTERM or SIGINT; calls `ready(url)` once the api answers.

    With the setting `quit_runner` the runner and its jobs end with the server; otherwise jobs go on and the next
    server finds them. Raises ServeError.
    """
    _title("batchyard serve")
    data = prepare(settings)
    lock = _lock(data)
    listener = _listen(settings)
    url = f"http://{settings.host}:{listener.getsockname()[1]}"
    from batchyard.store import sqlite

    try:
        sqlite.migrate(data)
    except sqlite.StoreError as error:
        raise ServeError(str(error)) from None
    known_keys(settings)  # made, or refused, before anything starts
    _publish(data / "endpoint", url)
    supervisor = Supervisor(settings, lock, listener)
    try:
        supervisor.run(lambda: ready(url) if ready else None)
    finally:
        supervisor.stop()
        (data / "endpoint").unlink(missing_ok=True)
        listener.close()
        os.close(lock)
    return 0


def prepare(settings: Settings) -> Path:
    """Make the data directory and what lies in it, closed to others. Returns its path."""
    data = settings.data_path
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("logs", "work", "runner", "runner/slots", "runner/exits"):
            (data / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServeError(
            f"The data directory {data} cannot be made: {error.strerror}. Choose another with --data."
        ) from None
    return data


def _lock(data: Path) -> int:
    """Lock the data directory; waits a little for the children of a server that was killed."""
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            if time.monotonic() > deadline or _alive(holder):
                os.close(lock)
                raise AlreadyServing(
                    f"Another server (process {holder or 'unknown'}) uses the data directory {data}. "
                    "Stop it, or start this one with another --data."
                ) from None
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _alive(pid: str) -> bool:
    """Whether the serve that wrote its number into the lock still runs."""
    try:
        return b"serve" in Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _listen(settings: Settings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Port {settings.port} on {host} cannot be used: {error.strerror}. "
            "Choose another with --port, or --port 0 for any free one."
        ) from None
    listener.listen(1024)
    return listener


def _publish(path: Path, url: str) -> None:
    """Whole or not at all: clients read it at any moment."""
    draft = path.with_name(".endpoint")
    draft.write_text(url + "\n")
    os.replace(draft, path)


class Child:
    """One supervised process and when to start it (again)."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen], says_why: Path | None = None):
        self.name = name
        self._hint = f"; {says_why} says why" if says_why else ""
        self._start = start
        self.process: subprocess.Popen | None = None
        self._started_s = 0.0
        self._failures = 0
        self._due_s = 0.0

    def tend(self) -> None:
        """Start it if it is not running and its time has come."""
        if self.process is not None and self.process.poll() is not None:
            stayed = time.monotonic() - self._started_s > STAYS_UP_S
            self._failures = 0 if stayed else self._failures + 1
            wait_s = RESTART_WAIT_S[min(self._failures, len(RESTART_WAIT_S) - 1)]
            self._due_s = time.monotonic() + wait_s
            log.warning(
                "%s ended (%s); starting it again in %.1f s%s", self.name, self.process.returncode, wait_s, self._hint
            )
            self.process = None
        if self.process is None and time.monotonic() >= self._due_s:
            self._started_s = time.monotonic()
            self.process = self._start()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self) -> None:
        if self.alive():
            self.process.terminate()

    def end(self, wait_s: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps api, engine and runner alive."""

    def __init__(self, settings: Settings, lock: int, listener: socket.socket):
        self._settings = settings
        self._lock = lock
        self._listener = listener
        self._lifeline, self._held = os.pipe()  # we hold the writing end and never write
        self._wake, self._ring = os.pipe()
        for descriptor in (self._wake, self._ring):
            os.set_blocking(descriptor, False)
        self._runner = Child("runner", self._spawn_runner, settings.data_path / "runner" / "runner.log")
        self._children = [Child("engine", lambda: self._spawn("engine")), Child("api", lambda: self._spawn("api"))]
        self._ending = False

    def run(self, ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT."""
        self._catch_signals()
        told = False
        deadline = time.monotonic() + READY_WAIT_S
        while not self._ending:
            self._tend_runner()
            for child in self._children:
                child.tend()
            if not told and self._answers():
                told = True
                ready()
            if not told and time.monotonic() > deadline:
                raise ServeError(
                    f"The api did not answer within {READY_WAIT_S:.0f} s; run with --log-level debug to see why."
                )
            select.select([self._wake], [], [], TICK_S if told else 0.01)
            self._drain()

    def stop(self) -> None:
        """End api and engine, in this order, and the runner with its jobs if set."""
        for child in reversed(self._children):
            child.ask_to_end()
        os.close(self._held)
        for child in reversed(self._children):
            child.end(STOP_WAIT_S)
        if self._settings.quit_runner:
            self._quit_runner()

    def _catch_signals(self) -> None:
        def end(*_: object) -> None:
            self._ending = True

        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop when a child ends

    def _drain(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass

    def _answers(self) -> bool:
        host, port = self._listener.getsockname()[:2]
        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", "/x/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _spawn(self, role: str) -> subprocess.Popen:
        """Start `role` with the settings on its command line; its standard input is the lifeline."""
        environ = dict(os.environ)
        inherited = [self._lock]
        if role == "api":
            inherited.append(self._listener.fileno())
        else:
            environ.pop("BATCHYARD_SECRET_ACCESS_KEY", None)
        dumped = _remembered(self._settings.dump())  # not on the command line, which everybody may read
        inherited.append(dumped)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "batchyard.server", role, str(dumped), str(self._listener.fileno())],
                stdin=self._lifeline,
                pass_fds=inherited,
                env=environ,
            )
        finally:
            os.close(dumped)

    def _tend_runner(self) -> None:
        """Keep a runner alive; one left by an earlier server goes on, and holds the lock."""
        if self._runner.alive() or not _is_locked(self._settings.data_path / "runner" / "lock"):
            self._runner.tend()

    def _spawn_runner(self) -> subprocess.Popen:
        """In a session of its own and with next to no environment: it outlives us, and jobs must not inherit ours."""
        keep = ("PATH", "LANG", "PYTHONPATH")
        data, hours = str(self._settings.data_path), str(self._settings.work_keep_hours)
        hide = ["--hide", os.path.abspath(self._settings.access_key_file)] if self._settings.access_key_file else []
        command = [sys.executable, "-P", "-m", "batchyard.executors.runner", "--data", data]
        return subprocess.Popen(
            [*command, "--work-keep-hours", hours, *hide],
            stdin=subprocess.DEVNULL,
            env={name: os.environ[name] for name in keep if name in os.environ},
            start_new_session=True,
            cwd="/",
        )

    def _quit_runner(self) -> None:
        from batchyard.executors.process import ProcessExecutor

        executor = ProcessExecutor(self._settings)
        executor.quit()
        deadline = time.monotonic() + STOP_WAIT_S
        while _is_locked(self._settings.data_path / "runner" / "lock") and time.monotonic() < deadline:
            time.sleep(0.01)
        self._runner.end(1.0)


def _remembered(text: str) -> int:
    """A nameless file that holds `text`, to be read by a child."""
    descriptor = os.memfd_create("settings")
    os.pwrite(descriptor, text.encode(), 0)
    return descriptor


def _is_locked(path: Path) -> bool:
    """Whether another process holds the lock file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


# -- the children --------------------------------------------------------------------------------------------------


def local_room(settings: Settings) -> Needs:
    """What jobs may hold together: as set, else what the machine has."""
    vcpus = settings.vcpus or len(os.sched_getaffinity(0))
    memory_mib = settings.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    return Needs(vcpus * 1000, memory_mib, settings.gpus)


def run_engine(settings: Settings) -> None:
    """The engine process: until the lifeline (standard input) is cut."""
    from batchyard.engine.bell import BellSocket
    from batchyard.engine.clock import SteadyClock
    from batchyard.engine.engine import Engine
    from batchyard.executors.pretend import PretendExecutor
    from batchyard.executors.process import ProcessExecutor
    from batchyard.observe.joblogs import FileLogs
    from batchyard.store.commits import SqliteCommits
    from batchyard.store.retention import DAY_MS, Retention
    from batchyard.store.sqlite import last_ms

    data = settings.data_path
    keep = Retention(settings.jobs_keep_days * DAY_MS, settings.jobs_keep_most)
    commits = SqliteCommits(data, keep, FileLogs(data).remove, settings.disk_reserve_mib << 20)
    snapshot = commits.load()
    clock = SteadyClock(last_ms(data))
    executors = {
        PROVIDER: ProcessExecutor(settings),
        PRETEND: PretendExecutor(data, clock, settings.stop_grace_s),
    }
    engine = Engine(snapshot, commits, executors, {PROVIDER: local_room(settings)}, clock, BellSocket(data))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; serve decides
    try:
        engine.run(sys.stdin.fileno())
    except Unavailable as error:  # what was decided last is in no file: serve starts an engine that decides it again
        sys.exit(f"batchyard engine: {error}")


def api_context(settings: Settings) -> Context:
    """The api's adapters: requests.db to write, both files to read, logs, keys and clocks."""
    from batchyard.access import keys
    from batchyard.api.context import Context
    from batchyard.engine.bell import BellRope
    from batchyard.engine.clock import SteadyClock
    from batchyard.observe.joblogs import FileLogs
    from batchyard.store.intake import SqliteIntake
    from batchyard.store.reader import SqliteReader
    from batchyard.store.sqlite import last_ms

    data = settings.data_path
    room = local_room(settings)
    return Context(
        settings=replace(settings, vcpus=room.cpu_milli // 1000, memory=room.memory_mib),
        intake=SqliteIntake(data, BellRope(data).ring, settings.disk_reserve_mib << 20),
        reader=SqliteReader(data),
        logs=FileLogs(data),
        directory=keys.Keyring(known_keys(settings)),
        clock=SteadyClock(last_ms(data)),
        wall_s=time.time,
        mint=lambda: str(uuid.uuid4()),
    )


def known_keys(settings: Settings) -> list[Key]:
    """The keys that may sign: the environment's, and the file's (made at the first start if none is named)."""
    from batchyard.access import keys

    found = [keys.from_environment(os.environ)]
    if settings.access_key_file:
        found.append(keys.read(settings.access_key_file))
    else:
        found.append(keys.ensure(settings.data_path / "access-key"))
    return [key for key in found if key is not None]


def run_api(settings: Settings, listener: int) -> None:
    """The api process: uvicorn on the inherited socket, until SIGTERM or the lifeline is cut."""
    import asyncio

    import uvicorn
    import uvloop

    from batchyard.api.app import build_app
    from batchyard.api.connection import Door, connections_max
    from batchyard.store.retention import keep_removing

    async def main() -> None:
        context = api_context(settings)
        app = build_app(context)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=Door(connections_max()),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=2,
            )
        )

        def cut() -> None:
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(0)

        asyncio.get_running_loop().add_reader(0, cut)
        removing = asyncio.create_task(keep_removing(context.intake.remove_retired))
        with socket.socket(fileno=listener) as sock:
            await server.serve(sockets=[sock])
        removing.cancel()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(main())


def _title(text: str) -> None:
    import setproctitle

    setproctitle.setproctitle(text)


def main(role: str, dumped: str, listener: str) -> None:
    """Entry of the children: `role` is engine or api, the others are descriptors (see Supervisor._spawn)."""
    with open(int(dumped), encoding="utf-8") as file:
        settings = config.restore(file.read())
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    _title(f"batchyard {role}")
    if role == "engine":
        run_engine(settings)
    else:
        run_api(settings, int(listener))


if __name__ == "__main__":
    main(*sys.argv[1:])
