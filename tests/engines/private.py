"""An engine of one's own: its programs run from a directory that is made for it, and everything there goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker

from tests.engines import images, keeper

PATIENCE_S = 30.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Unavailable(Exception):
    """The engine cannot run here; the message says what would enable it."""


class PrivateEngine:
    """Subclasses say which programs it is (`PROGRAMS`: program and Debian package) and how it is started."""

    name = ""
    PROGRAMS: dict[str, str] = {}

    def __init__(self) -> None:
        self._check()
        # Short, for a socket's path has at most 107 bytes; anybody may pass through, as below /run.
        self.base = Path(tempfile.mkdtemp(prefix=f"batchyard-{self.name}-"))
        self.base.chmod(0o755)
        self._on_overlay = _filesystem(self.base) == "overlay"
        if self._on_overlay:  # no overlay lies over another one
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(self.base)], check=True)
        self._keeper = subprocess.Popen(  # whatever becomes of us
            [sys.executable, "-I", keeper.__file__],
            stdin=subprocess.PIPE,
            env={"KEPT": str(self.base), "PATH": SYSTEM_PATH},
            start_new_session=True,
        )
        self.socket = self.base / "engine.sock"
        self.process: subprocess.Popen | None = None
        self._imported: set[str] = set()

    def _check(self) -> None:
        missing = {package for program, package in self.PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)}
        if missing:
            raise Unavailable(f"{self.name} is not installed here: apt-get install {' '.join(sorted(missing))}")
        if os.geteuid() != 0:
            raise Unavailable(f"a private {self.name} needs root: run the tests as root")

    # -- its life -------------------------------------------------------------------------------------------------

    def start(self) -> PrivateEngine:
        """Start it, or start it again; returns when it answers."""
        if self.process is not None and self.process.poll() is None:
            return self
        self._start()
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log()}"
            assert time.monotonic() < deadline, f"{self.name} does not answer:\n{self.log()}"
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            with self.client(timeout=5) as client:
                return client.ping()
        except (docker.errors.DockerException, OSError):
            return False

    def kill(self) -> None:
        """SIGKILL to the engine's own process alone: its containers, and what watches over them, live on."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        """End all of it: containers, services, whatever they have left, mounts, files."""
        try:
            if self.process is not None:
                self.start()
                self.remove_containers()
        finally:
            self._stop()
            keeper.clear(self.base)
            self._keeper.stdin.close()
            self._keeper.wait()

    def left(self) -> list[int]:
        """Processes of the engine itself, and those that hold its containers."""
        return keeper.processes(self.base)

    def log(self) -> str:
        path = self.base / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def _start(self) -> None:
        raise NotImplementedError

    def _stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def _spawn(self, *command: str, **environ: str) -> subprocess.Popen:
        with (self.base / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": SYSTEM_PATH, "HOME": str(self.base), "TMPDIR": str(self._directory("tmp")), **environ},
                start_new_session=True,
                cwd="/",
            )

    def _directory(self, name: str) -> Path:
        path = self.base / name
        path.mkdir(mode=0o711, exist_ok=True)
        return path

    # -- talking to it --------------------------------------------------------------------------------------------

    @contextmanager
    def client(self, timeout: float = 60) -> Iterator[docker.DockerClient]:
        with closing(docker.DockerClient(base_url=f"unix://{self.socket}", version="auto", timeout=timeout)) as client:
            yield client

    def image(self, name: str) -> str:
        """The reference of an image of `images.py`, which is there afterwards."""
        reference = f"batchyard-test/{name}:latest"
        if reference not in self._imported:
            self.load(reference, images.archive(name))
        return reference

    def load(self, reference: str, archive: bytes, path: str = images.PATH) -> None:
        """Have an image of these files, with this `PATH`."""
        changes = [f"ENV PATH={path}", f"ENV PYTHONPATH=/{images.PACKAGES}"]
        repository, _, tag = reference.partition(":")
        with self.client() as client:
            client.api.import_image_from_data(archive, repository=repository, tag=tag or "latest", changes=changes)
        self._imported.add(reference)

    def containers(self, label: str = "batchyard.data") -> list[str]:
        """Names of all containers, running or not, with this label."""
        with self.client() as client:
            found = client.api.containers(all=True, filters={"label": [label]})
        return sorted(name.removeprefix("/") for each in found for name in each["Names"])

    def remove_containers(self) -> None:
        with self.client() as client:
            for each in client.api.containers(all=True):
                with suppress(docker.errors.APIError):
                    client.api.remove_container(each["Id"], force=True, v=True)


def _filesystem(path: Path) -> str:
    return (
        subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=True)
        .stdout.strip()
        .replace("overlayfs", "overlay")
    )
