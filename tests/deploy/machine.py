"""A machine of its own for the service of the machine: systemd as process 1 in namespaces, over this machine's files.

What is written there is in memory and gone with it. Needs root, overlayfs, and control groups that may be made.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
HYBRID = not (GROUPS / "cgroup.procs").exists()
HIERARCHIES = [GROUPS / "systemd", GROUPS / "unified"] if HYBRID else [GROUPS]

# Units of this machine are not started, but for those that every start has.
BOOT = """
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir -p "$1/up" "$1/work" "$1/new"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/new"
cd "$1/new"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
if [ "$2" = hybrid ]; then
    mount -t tmpfs none sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 none sys/fs/cgroup/unified
else
    mount -t cgroup2 none sys/fs/cgroup
fi
mount -t tmpfs none run
mount -t tmpfs none tmp
mount --rbind /dev dev
mkdir tmp/checkout
mount --bind "$3" tmp/checkout
rm -f etc/systemd/system/*.wants/* lib/systemd/system/*.wants/*
echo 0123456789abcdef0123456789abcdef >etc/machine-id
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' >etc/systemd/system/here.target
ip link set lo up
pivot_root . mnt
cd /
umount -l /mnt
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=here /lib/systemd/systemd --system --unit=here.target
"""
NAMESPACES = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--net", "--kill-child"]
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


class Refused(Exception):
    """This machine does not let one be made; says why."""


class Machine:
    """Used in a ``with``. `checkout` is seen as /tmp/checkout."""

    def __init__(self, base: Path, checkout: Path):
        self._base = base
        self._checkout = checkout
        self._groups = [each / f"batchyard-test-{os.getpid()}" for each in HIERARCHIES]

    def __enter__(self) -> Machine:
        try:
            for group in self._groups:
                group.mkdir()
        except OSError as error:
            self._tidy()
            raise Refused(f"no control group can be made here: {error}") from None
        root = self._base / "root"
        root.mkdir()
        joins = "; ".join(f"echo $$ >{group}/cgroup.procs" for group in self._groups)
        boot = ["bash", "-euc", BOOT, "boot", str(root), "hybrid" if HYBRID else "unified", str(self._checkout)]
        self._outer = subprocess.Popen(
            ["sh", "-euc", f'{joins}; exec "$@"', "sh", "unshare", *NAMESPACES, *boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._base / "boot.log").open("wb"),
        )
        try:
            self._wait_for_systemd()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._outer.kill()  # process 1 ends with it, and with that all others
        self._outer.wait()
        self._tidy()

    def _tidy(self) -> None:
        for group in self._groups:
            for _ in range(100):
                for below, _, _ in os.walk(group, topdown=False):
                    with suppress(OSError):
                        os.rmdir(below)
                if not group.exists():
                    break
                time.sleep(0.05)

    def _wait_for_systemd(self) -> None:
        deadline = time.monotonic() + 60
        while self._outer.poll() is None and time.monotonic() < deadline:
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
            if children and "systemd" in Path(f"/proc/{children[0]}/comm").read_text():
                self._first = children[0]
                if self._enter(["-a"], "systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.1)
        raise Refused(f"systemd does not start here: {(self._base / 'boot.log').read_text()[-500:]}")

    def do(self, script: str) -> str:
        """What the script prints, run there as root; AssertionError if it fails."""
        return self._done(self._enter(["-a"], script), script)

    def install(self, script: str) -> str:
        """The same with this machine's network, for what comes from an index of packages."""
        return self._done(self._enter(["-m"], script), script)

    def tries(self, script: str) -> bool:
        return self._enter(["-a"], script).returncode == 0

    def wait_for(self, script: str, what: str, timeout_s: float = 60) -> None:
        """Until the script succeeds."""
        deadline = time.monotonic() + timeout_s
        while not self.tries(script):
            assert time.monotonic() < deadline, f"waited in vain until {what}\n{self.journal()}"
            time.sleep(0.1)

    def journal(self) -> str:
        return self._enter(["-a"], "systemctl status --no-pager -n 50 batchyard").stdout

    def _enter(self, namespaces: list[str], script: str) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "-t", self._first, *namespaces, "bash", "-euc", f"cd /tmp/checkout; {script}"]
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        return subprocess.run(
            inside, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, env=kept | ENVIRONMENT
        )

    def _done(self, done: subprocess.CompletedProcess[str], script: str) -> str:
        assert done.returncode == 0, (script, done.stdout[-2000:], done.stderr[-3000:], self.journal())
        return done.stdout
