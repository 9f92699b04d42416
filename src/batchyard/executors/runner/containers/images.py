"""Images are pulled by nobody but the job that needs them, and once: others that need the same one wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from batchyard.executors.runner.containers.engine import Engine, EngineError, GivenUp, NoSuchImage, Unreachable

LOOK_S = 0.1

T = TypeVar("T")


class Puller:
    """Pulls for one attempt. `credentials` are those of its containers, by name."""

    def __init__(self, engine: Engine, directory: str, credentials: dict[str, dict[str, str]]):
        self._engine = engine
        self._directory = directory
        self._credentials = credentials

    def pulled(self, image: str, container: str, use: Callable[[], T], holder: Any) -> T:
        """`use` the image, which was not there: with it pulled by us, or by whoever was before us.

        Raises NoSuchImage with the reason for which it cannot be pulled; GivenUp if `holder` is.
        """
        lock = self._locked(image, lambda: holder.given_up)
        try:
            try:
                return use()
            except NoSuchImage:
                pass
            try:
                self._engine.pull(image, self._credentials.get(container))
            except (EngineError, Unreachable) as error:
                if not holder.given_up:
                    raise NoSuchImage(404, str(error)) from None
            if holder.given_up:
                raise GivenUp
            return use()
        finally:
            os.close(lock)

    def _locked(self, image: str, given_up: Callable[[], bool]) -> int:
        """Hold the image's lock: an open file, which the death of its holder closes."""
        name = hashlib.blake2b(image.encode(), digest_size=16).hexdigest()
        lock = os.open(os.path.join(self._directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if given_up():
                    os.close(lock)
                    raise GivenUp from None
            time.sleep(LOOK_S)
