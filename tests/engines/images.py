"""Images made from programs of this machine, so that none has to come from a registry: their files, as archives.

`busybox`: a shell and the usual commands, 2 MB. `python`: these and the interpreter that runs the tests, with the
program `pretend`. A program brings the shared libraries that it is linked with.
"""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

from batchyard.executors import pretend_program

PACKAGES = "usr/lib/python-packages"  # where distributions lie that an image has in addition
PATH = "/usr/local/bin:/usr/bin:/bin"
PACKAGE = "busybox-static"
SHELL = "bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\nreader:x:1234:1234::/tmp:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\nreader:x:1234:\n"
NOT_NEEDED = {
    "site-packages",
    "test",
    "tests",
    "__pycache__",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
}


class Archive:
    """The files of an image while they are put together; `bytes` is its tar."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._out, mode="w")
        self._names: set[str] = set()

    def directory(self, name: str, mode: int = 0o755) -> None:
        self._add(name, tarfile.DIRTYPE, mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._add(name, tarfile.REGTYPE, mode, data)

    def link(self, name: str, target: str) -> None:
        self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def copy(self, path: Path, name: str | None = None) -> None:
        """The file at `path`, at the same path (or `name`) and with its time; what is behind a link, not the link."""
        mode = 0o755 if os.access(path, os.X_OK) else 0o644
        self._add(name or str(path), tarfile.REGTYPE, mode, path.read_bytes(), time_s=int(path.stat().st_mtime))

    def programs(self, paths: Iterable[Path]) -> None:
        """Programs or libraries, and all shared libraries they are linked with."""
        paths = list(paths)
        for path in paths:
            self.copy(path)
        for library in sorted(libraries(paths) | opened_by_name()):
            self.copy(library)
        self.copy(Path("/etc/ld.so.cache"))  # where the linker finds what does not lie in its own directories

    def _add(self, name: str, kind: bytes, mode: int, data: bytes = b"", target: str = "", time_s: int = 0) -> None:
        name = name.strip("/")
        if name in self._names:
            return
        self._names.add(name)
        about = tarfile.TarInfo(name)
        about.type, about.mode, about.size, about.linkname = kind, mode, len(data), target
        about.mtime = time_s
        self._tar.addfile(about, io.BytesIO(data))

    def bytes(self) -> bytes:
        self._tar.close()
        return self._out.getvalue()


def libraries(paths: list[Path]) -> set[Path]:
    """The dynamic linker included."""
    said = subprocess.run(["ldd", *map(str, paths)], capture_output=True, text=True).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", said)}


def opened_by_name() -> set[Path]:
    """What the C library opens when a thread ends, and no program is linked with."""
    said = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, env={"PATH": "/usr/sbin:/sbin"}).stdout
    return {Path(found) for found in re.findall(r"libgcc_s\.so\.1 .*=> (/\S+)", said)[:1]}


def shell() -> Path:
    """Busybox without shared libraries; FileNotFoundError names the package that has it."""
    found = shutil.which("busybox")
    if found is None or libraries([Path(found)]):
        raise FileNotFoundError(f"no busybox without shared libraries is here: apt-get install {PACKAGE}")
    return Path(found)


def put_busybox(image: Archive) -> None:
    """A shell, the usual commands, users, and the directories that everybody expects."""
    program = shell()
    for name, mode in {"tmp": 0o1777, "root": 0o700, "proc": 0o755, "sys": 0o755, "dev": 0o755, "etc": 0o755}.items():
        image.directory(name, mode)
    image.file("etc/passwd", PASSWD.encode())
    image.file("etc/group", GROUP.encode())
    image.file(SHELL, program.read_bytes(), 0o755)
    commands = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for command in set(commands) - {"busybox"}:
        image.link(f"bin/{command}", f"/{SHELL}")
    image.link("usr/bin/env", f"/{SHELL}")


def put_python(image: Archive) -> None:
    """Those, the interpreter that runs the tests with its library, and `pretend`."""
    put_busybox(image)
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    compiled = f".{sys.implementation.cache_tag}.pyc"  # they hold the time of their source
    files = [path for path in _modules(library) if path.name.endswith((".py", ".so", compiled))]
    image.programs([interpreter, *(path for path in files if path.suffix == ".so")])
    for path in files:
        image.copy(path)
    for name in ("python", "python3"):
        image.link(f"usr/bin/{name}", str(interpreter))
    for path, text in pretend().items():
        image.file(path, text.encode(), 0o755)


def environment(home: Path, wheels: Path) -> bytes:
    """The archive of an image with the virtual environment at `home`, where it is, and a bash; its wheels are also
    found at `wheels`. The `PATH` of its jobs has to begin with `home`/bin."""
    image = Archive()
    put_python(image)
    for path in sorted(home.rglob("*")):
        if path.is_symlink() and path.parent.name == "bin":
            image.link(str(path), os.readlink(path))
        elif path.is_file() and path.parent.name != "__pycache__":
            image.copy(path)
    libraries = [path for path in home.rglob("*.so*") if path.is_file()]
    image.programs([Path("/bin/bash"), *libraries])
    image.link(str(wheels), f"{home}/wheels")
    return image.bytes()


# The first process of a container is hit by no signal that it does not handle. What pretends to be a job that is hit
# runs below one that hands signals on, as below an init.
PRETEND = """\
#!/usr/bin/python3 -IS
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
child = os.fork()
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM) if child else None)
if child:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
sys.path.insert(0, "/usr/lib/pretend")
import pretend_program
sys.exit(pretend_program.main(sys.argv[1:]))
"""


def pretend() -> dict[str, str]:
    """The files of the program that the suite of executors runs."""
    program = Path(pretend_program.__file__).read_text()
    return {"usr/bin/pretend": PRETEND, "usr/lib/pretend/pretend_program.py": program}


def _modules(library: Path) -> Iterable[Path]:
    for folder, below, names in os.walk(library):
        below[:] = sorted(name for name in below if name not in NOT_NEEDED and not name.startswith("config-"))
        yield from (Path(folder, name) for name in sorted(names))


MADE_BY = {"busybox": put_busybox, "python": put_python}


@functools.cache
def archive(name: str) -> bytes:
    """The files of the image, as a tar; put together once."""
    image = Archive()
    MADE_BY[name](image)
    return image.bytes()
