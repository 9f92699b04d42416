"""Podman's service, with storage, locks and settings of its own."""

from __future__ import annotations

from tests.engines.private import PrivateEngine

# Without CAP_SYS_RESOURCE its own default limits cannot be set; crun 1.8 refuses a hybrid layout of control groups.
# Locks are files below its directory: those in shared memory would be shared with any other Podman of this user.
SETTINGS = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""

# Docker takes registries on loopback without TLS, too.
REGISTRIES = """\
[[registry]]
location = "127.0.0.1"
insecure = true
"""


class Podman(PrivateEngine):
    name = "podman"
    PROGRAMS = {"podman": "podman", "conmon": "conmon", "runc": "runc"}

    def _start(self) -> None:
        settings = self.base / "containers.conf"
        settings.write_text(SETTINGS)
        registries = self.base / "registries.conf"
        registries.write_text(REGISTRIES)
        self.socket.unlink(missing_ok=True)
        self.process = self._spawn(
            "podman",
            *("--root", str(self._directory("root"))),
            *("--runroot", str(self._directory("run"))),
            *("--tmpdir", str(self._directory("libpod"))),
            *("system", "service", "--time=0", f"unix://{self.socket}"),
            CONTAINERS_CONF=str(settings),
            CONTAINERS_REGISTRIES_CONF=str(registries),
        )
