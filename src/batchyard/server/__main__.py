"""Entry of the processes that the supervisor starts: ``python -m batchyard.server ROLE SETTINGS LISTENER``."""

from __future__ import annotations

import sys

from batchyard import config, loglines
from batchyard.server.children import run_api, run_engine, run_observe, title


def main(role: str, dumped: str, listener: str) -> None:
    """Entry of the children: `role` is engine, api or observe, the others are descriptors (see Supervisor._spawn)."""
    with open(int(dumped), encoding="utf-8") as file:
        settings = config.restore(file.read())
    loglines.setup(role, settings.log_level, settings.log_format)
    title(f"batchyard {role}")
    if role == "engine":
        run_engine(settings)
    elif role == "observe":
        run_observe(settings)
    else:
        run_api(settings, int(listener))


if __name__ == "__main__":
    main(*sys.argv[1:])
