"""One attempt in a slot: claimed, started, watched, ended, recorded."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from batchyard.executors.runner import limits, memory, mounting, preparing, sandbox, zips
from batchyard.executors.runner.desk import Desk
from batchyard.executors.runner.files import Files
from batchyard.executors.runner.output import Output
from batchyard.executors.runner.preparing import Preparation
from batchyard.executors.runner.spawn import spawn
from batchyard.executors.runner.wire import boot_s, record

COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE = 127, 126
TICK_MS = 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ALONE = "default"  # the name of a job's only container, in what the server answers


class StartError(Exception):
    """The main process could not be started; `code` is the exit code that says so, if there is one. The message is the
    `whole` reason, as ECS words it, or the words after `CannotStartContainerError`."""

    def __init__(self, code: int | None, message: str, whole: bool = False):
        super().__init__(message)
        self.code = code
        self.whole = whole


@dataclass
class Room(Files):
    """What a slot holds for its jobs; the descriptors were opened before the data directory was covered."""

    slot: str  # its name
    isolated: bool  # whether this process is the init of its own PID namespace
    own_proc: bool  # whether /proc shows that namespace and nothing else
    identity: sandbox.Identity
    desk: Desk
    group: memory.Group | None  # counts and bounds memory; None: we look at the processes from time to time
    watched: dict[str, list[str]]  # directories of the slot's own, and what is in them between jobs
    works: int  # the open directory of working directories
    volumes: int  # the open directory of volumes that are ours to make
    spoiled: bool = False  # whether something could not be undone

    def job(self, order: dict) -> Job:
        return Job(order, self)

    def is_clean(self) -> bool:
        """Whether the last job left nothing that the next one could find."""
        if self.spoiled or not self.isolated:
            return not self.spoiled
        for path, names in self.watched.items():
            if os.listdir(path) != names:
                return False
        for kind in ("shm", "sem", "msg"):
            with open(f"/proc/sysvipc/{kind}", "rb") as file:
                if file.read().count(b"\n") > 1:
                    return False
        return True


class Job:
    """The attempt that the slot runs: a process. `start`, then `attend` whenever one of `sources` is readable or
    `patience_ms` have passed, until it is `over`; then `finish`."""

    def __init__(self, order: dict, room: Room):
        self.attempt: str = order["attempt"]
        self._order = order
        self._room = room
        self.pidfd = -1
        self.output: Output | None = None
        self.pid = 0
        self.started_ms: int | None = None
        self.oom_kills_before = 0  # of the slot's group
        self._started_s = 0.0
        self._end_at: float | None = None  # when the timeout fires
        self._kill_at: float | None = None  # when patience after SIGTERM ends
        self._timed_out = self._oom = False
        self._start_error: StartError | None = None
        self._peak_bytes = 0
        self._cpu_s = 0.0
        self._memory_at = self._tick_at = 0.0
        self.over = False
        self._preparation: Preparation | None = None
        self._mounts: mounting.Mounts | None = None
        self._denied: list[str] = []  # devices that the job must not open
        self._status: int | None = None  # of the main process, once it is reaped

    # -- start ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Claim the attempt and start its main process, or what prepares it; if that fails it is `over`.

        Raises Claimed when it was claimed before.
        """
        self._room.claim(self.attempt)
        with self._failing():
            self._furnish()
            if preparing.asked(self._order):
                if self._room.group is not None:
                    self._room.group.begin(0)
                self._preparation = Preparation(self._order)
            else:
                self._launch()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong within is why the job could not start."""
        try:
            yield
        except StartError as error:
            self._start_error = error
        except mounting.MountError as error:
            self._start_error = StartError(None, str(error))
        except (OSError, ValueError) as error:
            self._start_error = StartError(None, str(error))
        self.over = self._start_error is not None

    def _prepared(self) -> None:
        """What was asked for is there: the job can start."""
        assert self._preparation is not None
        told, self._preparation = self._preparation.result(), None
        with self._failing():
            if told["error"]:
                raise StartError(None, told["error"], whole=True)
            self._order["env"] = self._order["env"] | told["secrets"]
            if self._order.get("zip"):
                self._order["argv"] = self._of_application(self._order["argv"])
            self._launch()

    def _of_application(self, argv: list[str]) -> list[str]:
        """The command, whose first word may name a file of the application."""
        found = zips.holds(self._room.desk.directory, argv[0]) if argv else None
        return argv if found is None else [f"{self._room.data}/work/{self.attempt}/{found}", *argv[1:]]

    def _launch(self) -> None:
        """Mount what the job asks to see, and start it."""
        room, order = self._room, self._order
        if order.get("cannot_start"):
            raise StartError(None, order["cannot_start"])
        if not order["argv"]:
            raise StartError(
                None, "no command is given, and without an image there is none to fall back on; give one in `command`"
            )
        limits.check(order.get("ulimits") or ())
        if not room.isolated and (refusal := mounting.refusal(order)):
            raise StartError(None, refusal)
        if not (room.isolated and mounting.asked(order)):
            self._spawn()
            return
        mounts = mounting.Mounts(order, room.data, room.identity, room.volumes, room.works)
        try:
            self._spawn()
        finally:
            try:
                mounts.leave()
            except OSError:
                room.spoiled = True

    def _furnish(self) -> None:
        """Log, index and a fresh working directory, seen at its usual path."""
        room, name = self._room, self.attempt
        self.output = Output(*room.log_files(self._order["day"], name), self._order["log_bytes"], self._now_ms())
        if room.isolated:
            usual = f"{room.data}/work/{name}"
            os.mkdir(usual)
            sandbox.bind(f"/proc/self/fd/{room.desk.take()}", usual)
            os.chdir(usual)
            for path in self._order.get("deny", ()):
                if os.path.exists(path):
                    sandbox.deny(path)
                    self._denied.append(path)
        else:
            room.desk.take()
            room.desk.keep(name)
            os.fchdir(room.desk.directory)

    def _spawn(self) -> None:
        if self._room.group is not None:
            self._room.group.begin(self._order["memory_mib"])
            self.oom_kills_before = self._room.group.kills
        self._started_s, now_ms = boot_s(), time.time_ns() // 1_000_000
        with memory.first_choice():
            self.pid = self._find_and_spawn(self._order["argv"], self._order["env"])
        self.pidfd = os.pidfd_open(self.pid)
        self.started_ms = now_ms
        self.output.started()
        timeout_s = self._order["timeout_s"]
        self._end_at = None if timeout_s is None else self._started_s + timeout_s

    def _find_and_spawn(self, argv: list[str], environ: dict[str, str]) -> int:
        """Like execvp with the job's PATH and identity, which are not ours."""
        name, denied = argv[0], None
        for path in [name] if "/" in name else _candidates(name, environ.get("PATH", "")):
            if not os.access(path, os.F_OK) or os.path.isdir(path):
                continue
            if not os.access(path, os.X_OK):
                denied = path
                continue
            try:
                return spawn(path, argv, environ, self.output.writer, self._order.get("ulimits") or ())
            except PermissionError:
                denied = path
            except OSError as error:
                code = COMMAND_NOT_FOUND if error.errno == errno.ENOENT else COMMAND_NOT_EXECUTABLE
                raise StartError(code, f'exec: "{path}": {error.strerror}') from None
        if denied:
            raise StartError(COMMAND_NOT_EXECUTABLE, f'exec: "{denied}": permission denied')
        where = "no such file or directory" if "/" in name else "executable file not found in $PATH"
        raise StartError(COMMAND_NOT_FOUND, f'exec: "{name}": {where}')

    # -- watch ----------------------------------------------------------------------------------------------------

    def sources(self) -> list[int]:
        """Descriptors to watch."""
        if self._preparation is not None:
            return [self._preparation.pipe]
        pipe = self.output.pipe
        return [self.pidfd] if pipe < 0 or self.output.pause_until_s > boot_s() else [self.pidfd, pipe]

    def patience_ms(self) -> float:
        """How long to watch them."""
        pause_ms = (self.output.pause_until_s - boot_s()) * 1000
        return min(TICK_MS, pause_ms) if pause_ms > 0 else TICK_MS

    def attend(self, ready: set[int]) -> None:
        """See to what is `ready`, and now and then to the clock: a flood of output leaves no quiet moment."""
        if self._preparation is not None:
            if self._preparation.pipe in ready and not self._preparation.more():
                self._prepared()
            return
        if self.output.pipe in ready:
            self.output.drain(boot_s())
        if self.pidfd in ready:
            self.over = True
        elif not ready or boot_s() >= self._tick_at:
            self._tick()

    def _tick(self) -> None:
        """Sample the log's size; enforce timeout, patience and memory; reap orphans."""
        now_s = boot_s()
        self._tick_at = now_s + TICK_MS / 1000
        assert self.output is not None
        self.output.sample(self._now_ms())
        self._room.desk.keep(self.attempt)
        if self._end_at is not None and now_s >= self._end_at and self._kill_at is None:
            self._timed_out = True
            self.stop()
        if self._kill_at is not None and now_s >= self._kill_at:
            self.kill()
        self._reap_orphans()
        if now_s >= self._memory_at and self._room.group is None:
            self._measure()
            self._memory_at = now_s + (0.0 if self._room.own_proc else 1.0)

    def stop(self, grace_s: float | None = None) -> None:
        """SIGTERM to the main process and its group; SIGKILL to all after the grace time, which is the order's unless
        another is given. Without any, SIGKILL at once. Told again, it kills when the first of them is over."""
        if self._preparation is not None:
            self._start_error, self.over = StartError(None, "it was stopped before it began"), True
        if not self.pid:
            return
        told, now_s = self._kill_at is not None, boot_s()
        kill_at = now_s + (self._order["grace_s"] if grace_s is None else grace_s)
        self._kill_at = min(kill_at, self._kill_at or kill_at)
        if self._kill_at <= now_s:
            self.kill()
            return
        for send in () if told else (os.kill, os.killpg):
            try:
                send(self.pid, signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                pass

    def kill(self) -> None:
        """SIGKILL to everything the job started."""
        if self._room.isolated:
            assert os.getpid() == 1, "would kill every process of the machine"
            targets = [-1]
        else:
            targets = sandbox.descendants(os.getpid())
        for pid in targets:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _now_ms(self) -> int:
        """Epoch milliseconds that advance with `boot_s` from the start of the job."""
        if self.started_ms is None:
            return time.time_ns() // 1_000_000
        return self.started_ms + int((boot_s() - self._started_s) * 1000)

    def _measure(self) -> None:
        """Memory of all processes of the job; over the limit, they are killed.

        Resident sets count shared pages once a process, so they only give the alarm; proportional sets decide.
        """
        limit_bytes = self._order["memory_mib"] << 20
        if self._room.own_proc:
            pids = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        else:
            pids = [str(pid) for pid in sandbox.descendants(int(os.readlink("/proc/self")))]
        total = sum(map(_resident_bytes, pids))
        if total > limit_bytes > 0:
            total = sum(map(_proportional_bytes, pids))
            if total > limit_bytes:
                self._oom = True
                self.kill()
        self._peak_bytes = max(self._peak_bytes, total)

    # -- end ------------------------------------------------------------------------------------------------------

    def finish(self) -> bytes:
        """Kill and reap what is left, close and clean; returns the exit record, not yet written."""
        exit_code = term_signal = None
        if self._preparation is not None:
            self.kill()
            self._preparation.end()
        if self.pid:
            status = self._reap()
            if os.WIFSIGNALED(status):
                term_signal = os.WTERMSIG(status)
            else:
                exit_code = os.WEXITSTATUS(status)
            if self._room.group is not None:
                self._peak_bytes, killed = self._room.group.end()
                self._oom = killed and exit_code != 0  # a job that survives the death of a child may still succeed
        stopped_ms = self._now_ms()
        if self.output is not None:
            self.output.finish(stopped_ms)
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self._leave()
        error = self._start_error
        told = record(
            self.attempt,
            pid=self.pid,
            started_ms=self.started_ms,
            stopped_ms=stopped_ms,
            exit_code=error.code if error else exit_code,
            signal=term_signal,
            oom=self._oom,
            timed_out=self._timed_out,
            start_error=str(error) if error and not error.whole else None,
            not_started=str(error) if error and error.whole else None,
            peak_memory_bytes=self._peak_bytes or None,
            cpu_ms=int(self._cpu_s * 1000),
        )
        return json.dumps(told, separators=(",", ":")).encode()

    def recorded(self) -> None:
        """The exit record is on disk: nothing is left to be done."""

    def abandon(self) -> None:
        """The slot ends, and the job with it: it counts as lost."""
        if not self._room.isolated:  # in a PID namespace the kernel kills the rest
            self.kill()
            self.finish()

    def _reap(self) -> int:
        """Wait for the main process, then kill and wait for everything else; returns the main one's status."""
        while self._status is None:
            self._reap_one(self.pid, 0)
        self.kill()
        try:
            while True:
                if not self._reap_one(-1, 0 if self._room.isolated else os.WNOHANG):
                    time.sleep(0.001)  # only where there is no PID namespace: look again for what was forked since
                    self.kill()
        except ChildProcessError:
            return self._status

    def _reap_orphans(self) -> None:
        try:
            while self._reap_one(-1, os.WNOHANG):
                pass
        except ChildProcessError:
            pass

    def _reap_one(self, which: int, options: int) -> bool:
        """Reap a process and add up what it used; False if none is ready. Raises ChildProcessError if none is left.

        A spawned process begins with its parent's pages counted as its peak, so a peak of the main process that is
        not above our own says nothing.
        """
        pid, status, usage = os.wait4(which, options)
        if not pid:
            return False
        self._cpu_s += usage.ru_utime + usage.ru_stime
        own_kib = 0
        if pid == self.pid:
            self._status = status
            own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if usage.ru_maxrss > own_kib:
            self._peak_bytes = max(self._peak_bytes, usage.ru_maxrss << 10)
        return True

    def _leave(self) -> None:
        """Out of the working directory, which is seen no more."""
        if self._mounts is not None:
            try:
                self._mounts.leave()
            except OSError:
                self._room.spoiled = True
        os.chdir("/")
        for path in self._denied:
            sandbox.unmount(path)
        usual = f"{self._room.data}/work/{self.attempt}"
        if self._room.isolated and os.path.isdir(usual):
            for undo in (sandbox.unmount, os.rmdir):
                try:
                    undo(usual)
                except OSError:
                    pass  # the slot finds itself dirty and is not used again
        self._room.desk.leave(self.attempt)


def _candidates(name: str, path: str) -> list[str]:
    return [os.path.join(directory or ".", name) for directory in path.split(":")]


def _resident_bytes(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _proportional_bytes(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:")), 0)
    except OSError:
        return _resident_bytes(pid)
