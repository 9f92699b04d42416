"""What the demo's jobs run: count what Python source files import, then put the counts together.

A script on its own, with the standard library only: a job needs nothing of Batchyard. Each child of the array takes
every N-th file of the corpus (which of them, AWS_BATCH_JOB_ARRAY_INDEX says) and writes what it counted; the gathering
job adds these up and prints the chart.

    demo_job.py count DIRECTORY N      demo_job.py gather DIRECTORY N
"""

from __future__ import annotations

import ast
import json
import os
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

SHOWN = 15
BAR_WIDTH = 48
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


def corpus() -> list[Path]:
    """The sources of this Python's standard library, less its own tests: real text that every machine has."""
    found = []
    for directory, below, names in os.walk(sysconfig.get_paths()["stdlib"]):
        below[:] = sorted(set(below) - _LEFT_OUT)
        found += [Path(directory, name) for name in sorted(names) if name.endswith(".py")]
    return found


def count(files: Iterable[Path]) -> dict[str, Counter]:
    """`totals` of files, lines, functions and classes, and in how many files each top-level module is `imported`."""
    totals, imported = Counter(), Counter()
    for path in files:
        source = path.read_bytes()
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):  # templates and the like that only look like Python
            totals["unreadable"] += 1
            continue
        totals["files"] += 1
        totals["lines"] += source.count(b"\n")
        modules = set()
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    totals["functions"] += 1
                case ast.ClassDef():
                    totals["classes"] += 1
                case ast.Import():
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                case ast.ImportFrom(module=str(module), level=0):
                    modules.add(module.partition(".")[0])
        imported.update(modules - {"__future__"})
    return {"totals": totals, "imported": imported}


def gather(parts: Iterable[dict[str, dict[str, int]]]) -> dict[str, Counter]:
    """The sum of what `count` returned for each part."""
    sums = {"totals": Counter(), "imported": Counter()}
    for part in parts:
        for name, counts in part.items():
            sums[name].update(counts)
    return sums


def chart(sums: dict[str, Counter]) -> str:
    """The most imported modules as horizontal bars, exact to an eighth of a cell."""
    totals = sums["totals"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [
        f"What Python {version}'s standard library imports most, by files "
        f"({totals['files']:,} files, {totals['lines']:,} lines, "
        f"{totals['functions']:,} functions, {totals['classes']:,} classes)",
        "",
    ]
    top = sorted(sums["imported"].items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    names = max((len(name) for name, _ in top), default=0)
    for name, files in top:
        whole, part = divmod(round(8 * BAR_WIDTH * files / top[0][1]), 8)
        lines.append(f"{name.rjust(names)} {'█' * whole}{' ▏▎▍▌▋▊▉'[part].strip()} {files}")
    return "\n".join(lines)


def main(step: str, directory: str, children: str) -> None:
    """Entry of the script."""
    warnings.simplefilter("ignore")  # ast warns of odd escapes in old sources
    work, size = Path(directory), int(children)
    if step == "count":
        index = int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
        counted = count(corpus()[index::size])
        (work / f"{index}.json").write_text(json.dumps(counted))
        print(f"counted {counted['totals']['files']} files, {counted['totals']['lines']} lines")
    else:
        sys.stdout.reconfigure(encoding="utf-8")
        print(chart(gather(json.loads((work / f"{index}.json").read_text()) for index in range(size))))


if __name__ == "__main__":
    main(*sys.argv[1:])
