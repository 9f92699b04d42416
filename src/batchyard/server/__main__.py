"""Entry of the processes that the supervisor starts: ``python -m batchyard.server ROLE SETTINGS LISTENER``."""

from __future__ import annotations

import logging
import os
import sys

from batchyard import config, loglines
from batchyard.executors.process import RunnerMismatch
from batchyard.server.children import run_api, run_engine, run_observe, title
from batchyard.server.failures import ServeError, explained

log = logging.getLogger("batchyard.server")


def main(role: str, dumped: str, listener: str) -> None:
    """Entry of the children: `role` is engine, api or observe, the others are descriptors (see Supervisor._spawn)."""
    with open(int(dumped), encoding="utf-8") as file:
        settings = config.restore(file.read())
    loglines.setup(role, settings.log_level, settings.log_format)
    title(f"batchyard {role}")
    log.info("started", extra={"pid": os.getpid()})
    try:
        with explained(settings.data_path):
            if role == "engine":
                run_engine(settings)
            elif role == "observe":
                run_observe(settings)
            else:
                run_api(settings, int(listener))
    except (ServeError, RunnerMismatch) as error:
        log.error("%s", error, exc_info=logging.root.isEnabledFor(logging.DEBUG))
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
