"""dockerd, with a containerd of its own that outlives it: so does what runs (`--live-restore`)."""

from __future__ import annotations

import subprocess
import time

from tests.engines.private import PATIENCE_S, PrivateEngine


class Docker(PrivateEngine):
    name = "docker"
    PROGRAMS = {"dockerd": "docker.io", "containerd": "docker.io", "runc": "docker.io"}

    def __init__(self) -> None:
        super().__init__()
        self.containerd: subprocess.Popen | None = None

    def _start(self) -> None:
        self._start_containerd()
        (self.base / "daemon.json").write_text("{}")  # not the machine's own
        self.process = self._spawn(
            "dockerd",
            *("--config-file", str(self.base / "daemon.json")),
            *("--data-root", str(self._directory("data"))),
            *("--exec-root", str(self._directory("exec"))),
            *("--pidfile", str(self.base / "docker.pid")),
            *("--containerd", str(self.base / "containerd.sock")),
            *("--host", f"unix://{self.socket}"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--live-restore"),
        )

    def _start_containerd(self) -> None:
        if self.containerd is not None and self.containerd.poll() is None:
            return
        configuration = self.base / "containerd.toml"
        configuration.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        address = self.base / "containerd.sock"
        self.containerd = self._spawn(
            "containerd",
            *("--config", str(configuration)),
            *("--root", str(self._directory("containerd"))),
            *("--state", str(self._directory("state"))),
            *("--address", str(address)),
        )
        deadline = time.monotonic() + PATIENCE_S
        while not address.exists():
            assert self.containerd.poll() is None, f"containerd ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"containerd does not listen:\n{self.log()}"
            time.sleep(0.02)

    def _stop(self) -> None:
        super()._stop()
        if self.containerd is not None and self.containerd.poll() is None:
            self.containerd.terminate()
            self.containerd.wait(PATIENCE_S)
