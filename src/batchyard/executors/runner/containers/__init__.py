"""Attempts that run in containers: what a slot does with an engine of Docker's API, Docker and Podman alike."""

from batchyard.executors.runner import volumes
from batchyard.executors.runner.containers import options

__all__ = ["options", "volumes"]
