"""``python -P -m batchyard.executors.runner --data DIR``: the runner process. Started by ``serve``."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from pathlib import Path

import setproctitle

from batchyard.executors.runner import isolation
from batchyard.executors.runner.host import Runner, hold_lock


def main() -> int:
    parser = argparse.ArgumentParser(prog="batchyard runner")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work-keep-hours", type=float, default=24)
    arguments = parser.parse_args()
    data = arguments.data.absolute()
    lock = hold_lock(data)
    if lock is None:
        print(f"batchyard runner: another runner holds {data}", file=sys.stderr)
        return 0
    setproctitle.setproctitle("batchyard runner")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    isolation.adopt_orphans()
    isolation.hide_memory()
    gc.freeze()  # slots share these pages until they write to them
    Runner(data, arguments.work_keep_hours).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
