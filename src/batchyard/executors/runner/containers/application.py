"""The zipped application of a container: unpacked on the machine, seen at ``/app``, which is its working directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from batchyard.executors.runner import zips
from batchyard.executors.runner.sweep import OWN_APPLICATIONS
from batchyard.model import zip_images


def unpacked(
    asked: Mapping[str, Any],
    place: Mapping[str, Any] | None,
    data: str,
    attempt: str,
    given_up: Callable[[], bool],
) -> str:
    """The directory of the application of a container of the order, made afresh. `place` is where the server says that
    the archive is. Blocks; raises ZipError."""
    directory = f"{data}/work/{attempt}{OWN_APPLICATIONS}/{asked['name']}"
    shutil.rmtree(directory, ignore_errors=True)  # a slot that died while it unpacked left a part
    try:
        for path in (os.path.dirname(directory), directory):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o755)  # whoever the container is
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise zips.failed(asked["zip"]["address"], str(error)) from None
    try:
        zips.bring(asked["zip"], place, descriptor, given_up)
    finally:
        os.close(descriptor)
    return directory


def with_mount(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The container with the application mounted last."""
    mount = {"source": None, "within": None, "volume": "zip", "path": zip_images.APP, "read_only": False}
    return {**asked, "mounts": [*asked["mounts"], mount]}


def command(body: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Members of the create body: where the command runs and, if its first word is a file of the application, that."""
    changed: dict[str, Any] = {"WorkingDir": zip_images.APP}
    words = body.get("Cmd")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = zips.holds(descriptor, words[0]) if words else None
    finally:
        os.close(descriptor)
    if words and found is not None:
        changed["Cmd"] = [f"{zip_images.APP}/{found}", *words[1:]]
    return changed
