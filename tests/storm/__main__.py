"""``python -m tests.storm 17`` or ``0:300``: run storms by seed; each failure prints the command that repeats it."""

from __future__ import annotations

import sys
import time
import traceback

from tests.storm.storm import Storm


def main(seeds: str) -> int:
    first, _, end = seeds.partition(":")
    failed, began = [], time.monotonic()
    numbers = range(int(first), int(end) if end else int(first) + 1)
    for seed in numbers:
        try:
            storm = Storm(seed).run()
        except Exception:
            traceback.print_exc()
            failed.append(seed)
        else:
            if len(numbers) <= 5:
                jobs, attempts = len(storm.auditor.jobs), len(storm.machine.starts)
                print(f"{storm.knobs}: {storm.turns} turns, {storm.crashes} crashes, {jobs} jobs, {attempts} attempts")
    print(f"{len(numbers) - len(failed)} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
    if failed:
        print("failed seeds:", *failed)
    return 1 if failed else 0


sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "0:100"))
