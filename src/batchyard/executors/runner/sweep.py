"""Working directories that were kept long enough are removed, by a child: a large one must not hold up the runner."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Container

SWEEP_S = 600.0  # how often old working directories are looked for


def sweep_work(data: str, before_s: float, kept: Container[str]) -> None:
    """Fork a child that removes directories last changed before `before_s` (epoch seconds), none of `kept`.

    Jobs filled them, so links in them are never followed.
    """
    if os.fork():
        return
    try:
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # the lock and the connections are not ours
        for name in os.listdir(os.path.join(data, "work")):
            path = os.path.join(data, "work", name)
            if name not in kept and os.lstat(path).st_mtime < before_s:
                shutil.rmtree(path, ignore_errors=True)
    finally:
        os._exit(0)
