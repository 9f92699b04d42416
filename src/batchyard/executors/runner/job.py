"""One job inside a slot: its working directory, log, process and timers, from claim to exit record."""

from __future__ import annotations

import errno
import os
import pwd
import resource
import signal
import time

from batchyard.executors.runner import records
from batchyard.executors.runner.places import Places

TICK_S = 0.1  # how often (time, offset) of a growing log is sampled


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def boot_s() -> float:
    """Seconds that nobody sets and that count while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class StartError(Exception):
    """The program cannot be started; `exit_code` is the shell's word for why (127 not found, 126 not executable)."""

    def __init__(self, exit_code: int, text: str):
        super().__init__(text)
        self.exit_code = exit_code


class Job:
    """A claimed attempt. `descriptor` turns readable when its main process has ended."""

    def __init__(self, places: Places, order: dict):
        self.attempt: str = order["attempt"]
        self.places = places
        self.pid = 0
        self.descriptor = -1
        self.started_ms = now_ms()
        self.timed_out = False
        self._order = order
        self._grace_s: float = order.get("grace_s") or 0
        timeout_s = order.get("timeout_s")
        self._started_s = boot_s()
        self._timeout_at = self._started_s + timeout_s if timeout_s else None
        self._kill_at: float | None = None
        self._cpu_before = _children_cpu_ms()
        self._start_error: StartError | None = None
        self._work = places.enter_work(self.attempt)
        self._log = places.open_log(order["log"])
        self._samples = [(self.started_ms, os.fstat(self._log).st_size)]
        self._index = -1

    # -- start ----------------------------------------------------------------------------------------------------

    def start(self) -> bool:
        """Start the main process; False (and a reason for the record) if that is impossible."""
        try:
            argv = self._order["argv"]
            if not argv:
                raise StartError(127, "no command was given, and a process has no image to take one from")
            environ = self._order["env"] | {"HOME": self._work, "TMPDIR": os.path.join(self._work, "tmp")}
            path = _find(argv[0], environ.get("PATH", ""), self._work)
            self.pid = self._spawn(path, argv, environ)
            self.descriptor = os.pidfd_open(self.pid)
        except StartError as error:
            self._start_error = error
            return False
        return True

    def _spawn(self, path: str, argv: list[str], environ: dict[str, str]) -> int:
        user = self._order.get("user")
        os.chdir(self._work)
        try:
            if user and os.geteuid() == 0:
                return self._fork_as(user, path, argv, environ)
            return os.posix_spawn(
                path,
                argv,
                environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, self._log, 1),
                    (os.POSIX_SPAWN_DUP2, self._log, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT],
            )
        except (OSError, ValueError) as error:
            raise _start_error(argv[0], error) from None
        finally:
            os.chdir("/")

    def _fork_as(self, user: str, path: str, argv: list[str], environ: dict[str, str]) -> int:
        """As another user: slower, since identities change between fork and exec."""
        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            name, uid, gid = entry.pw_name, entry.pw_uid, entry.pw_gid
        except KeyError:
            if not user.isdigit():
                raise StartError(126, f"unable to find user {user}: no matching entries in passwd file") from None
            name, uid, gid = None, int(user), int(user)
        for directory in (".", "tmp"):
            os.chown(directory, uid, gid)
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(self._log, 1)
            os.dup2(self._log, 2)
            os.initgroups(name, gid) if name else os.setgroups([gid])
            os.setgid(gid)
            os.setuid(uid)
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.execve(path, argv, environ)
        except BaseException as error:
            os.write(2, f"{argv[0]}: {error}\n".encode())
        os._exit(126)

    # -- while it runs --------------------------------------------------------------------------------------------

    def wait_s(self) -> float:
        """Until the next sample or deadline."""
        due = [at for at in (self._timeout_at, self._kill_at) if at is not None]
        return max(0.0, min([TICK_S, *(at - boot_s() for at in due)]))

    def tick(self) -> None:
        """Sample the log; act on deadlines that have passed."""
        now = boot_s()
        self._sample()
        if self._timeout_at is not None and now >= self._timeout_at:
            self._timeout_at, self.timed_out = None, True
            self.stop()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM to the job's process group, SIGKILL after the grace time."""
        if self._kill_at is None:
            self._kill_at = boot_s() + self._grace_s
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _sample(self) -> None:
        size = os.fstat(self._log).st_size
        if size != self._samples[-1][1]:
            self._samples.append((now_ms(), size))
        if self._index < 0:
            self._index = self.places.open_log(self._order["log"].removesuffix(".log") + ".idx")
        if len(self._samples) > 1:
            self._write_samples(self._samples[:-1])
            del self._samples[:-1]

    def _write_samples(self, samples: list[tuple[int, int]]) -> None:
        os.write(self._index, "".join(f"{ms} {offset}\n" for ms, offset in samples).encode())

    # -- end ------------------------------------------------------------------------------------------------------

    def finish(self, status: int | None, usage: resource.struct_rusage | None, survivors: int) -> dict:
        """Nothing of the job lives any more: close its files, write its record, return it. `status` is waitpid's."""
        stopped_ms = now_ms()
        self._finish_log(stopped_ms)
        record = {"attempt": self.attempt, "pid": self.pid, "started_ms": self.started_ms, "stopped_ms": stopped_ms}
        if self._start_error is not None:
            record |= {"exit_code": self._start_error.exit_code, "start_error": str(self._start_error)}
        elif status is not None:
            code = os.waitstatus_to_exitcode(status)
            record |= {"exit_code": code} if code >= 0 else {"exit_code": None, "signal": -code}
        record |= {
            "timed_out": self.timed_out,
            "oom": False,
            "cpu_ms": _children_cpu_ms() - self._cpu_before,
            "peak_memory_bytes": usage.ru_maxrss * 1024 if usage is not None else None,
            "killed_leftovers": survivors,
        }
        records.write(self.places.exits, record)
        self.places.leave_work(self.attempt)
        return record

    def _finish_log(self, stopped_ms: int) -> None:
        size = os.fstat(self._log).st_size
        if self._samples[-1][1] != size or self._index >= 0:
            self._samples.append((stopped_ms, size))
        if self._index < 0:
            self._index = self.places.open_log(self._order["log"].removesuffix(".log") + ".idx")
        self._write_samples(self._samples)
        os.close(self._index)
        os.close(self._log)
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _children_cpu_ms() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1000)


def _find(program: str, path: str, work: str) -> str:
    """The file to execute, as execvp finds it by the job's own PATH."""
    if "/" in program:
        found = os.path.join(work, program)
        if not os.path.exists(found):
            raise _start_error(program, FileNotFoundError(errno.ENOENT, "no such file or directory"))
        return found
    denied = False
    for directory in path.split(":"):
        found = os.path.join(directory or work, program)
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
        denied = denied or os.path.isfile(found)
    if denied:
        raise StartError(126, f'exec: "{program}": permission denied')
    raise StartError(127, f'exec: "{program}": executable file not found in $PATH')


def _start_error(program: str, error: Exception) -> StartError:
    number = error.errno if isinstance(error, OSError) else None
    text = os.strerror(number).lower() if number else str(error)
    if number == errno.ENOEXEC:
        text = "exec format error"
    return StartError(127 if number == errno.ENOENT else 126, f'exec: "{program}": {text}')
