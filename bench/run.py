"""``python -m bench.run [names...]``: measure, print, compare with ``budgets.toml``.

With ``--write`` what was measured is noted there. A name is a scenario (``submit``) or one of its measures
(``submit.durable``), which runs the scenario it belongs to. Ends with 1 when a scenario failed or a limit was missed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import operator
import statistics
import sys
import time
import tomllib
import traceback
from pathlib import Path

from bench.measure import BUSY, Measure, busy_cores, machine, short_machine

SCENARIOS = (
    "submit",
    "array",
    "latency",
    "children",
    "memory",
    "turns",
    "explain",
    "logs",
    "deletion",
    "observing",
    "placements",
    "trust",
    "containers",
    "container_logs",
)
BUDGETS = Path(__file__).parent / "budgets.toml"
_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}
_HEAD = """\
# What is asked of the speed, one line each. `measured` is the median of the rounds of one run of `make bench`; absolute
# figures move with the machine, so compare them with the baselines that the run prints. Written by
# `python -m bench.run --write`; a limit is changed by hand, with its reason in the commit.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENARIOS)}; none: all")
    parser.add_argument("--write", action="store_true", help="note what was measured in budgets.toml")
    arguments = parser.parse_args()
    wanted = [name for name in SCENARIOS if not arguments.names or name in {n.split(".")[0] for n in arguments.names}]
    if unknown := {name.split(".")[0] for name in arguments.names} - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    budgets = tomllib.loads(BUDGETS.read_text())
    print(machine())
    fine = True
    for name in wanted:
        begun, busy = time.monotonic(), busy_cores()
        if busy >= BUSY:
            print(f"  (other processes keep {busy:.1f} cores busy: expect low figures, and ratios closer to 1)")
        try:
            for measured in importlib.import_module(f"bench.scenarios.{name}").measure():
                fine = report(measured, budgets) and fine
                if measured.steady:
                    note(measured, budgets, busy)
        except Exception:
            traceback.print_exc()
            fine = False
        print(f"  ({name} took {time.monotonic() - begun:.0f} s)", flush=True)
    if arguments.write:
        write(budgets)
    return 0 if fine else 1


def report(measured: Measure, budgets: dict) -> bool:
    """Print one measure; False if its limit is missed."""
    budget = budgets[measured.name]
    met = within(measured.median, budget["limit"])
    verdict = {None: "for orientation", True: f"goal {budget['limit']}: met", False: f"goal {budget['limit']}: MISSED"}
    print(f"{measured.name}: {budget['what']}")
    print(f"  {_spread(measured.rounds)} {measured.unit}   {verdict[met]}")
    for what, values in measured.baselines:
        ratio = measured.median / statistics.median(values)
        print(f"  beside {what}: {_spread(values)} {measured.unit}   ratio {ratio:.2f}")
    if not measured.steady:
        print("  NOT STEADY: rounds of the baseline disagree, so this says little and is not noted")
    for line in measured.notes:
        print(f"  {line}")
    sys.stdout.flush()
    return met is not False


def within(value: float, limit: str) -> bool | None:
    """Whether `value` keeps to a limit like ``>= 3000``; None if there is none."""
    if not limit:
        return None
    compare, bound = limit.split()
    return _COMPARE[compare](value, float(bound))


def note(measured: Measure, budgets: dict, busy: float) -> None:
    budgets[measured.name] |= {
        "unit": measured.unit,
        "measured": _rounded(measured.median),
        "machine": short_machine(busy),
        "date": datetime.date.today(),
    }


def write(budgets: dict) -> None:
    """budgets.toml anew, in the same order."""
    lines = []
    for name, budget in budgets.items():
        members = [
            f"{key} = {value.isoformat() if key == 'date' else json.dumps(value)}"
            for key in ("what", "unit", "limit", "measured", "machine", "date")
            if (value := budget.get(key)) is not None
        ]
        lines.append(f'"{name}" = {{ {", ".join(members)} }}\n')
    BUDGETS.write_text(_HEAD + "\n" + "".join(lines))


def _spread(values: tuple[float, ...]) -> str:
    if len(values) == 1:
        return f"{_rounded(values[0]):g}"
    low, middle, high = (_rounded(each) for each in (min(values), statistics.median(values), max(values)))
    return f"{middle:g} (of {len(values)}: {low:g} to {high:g})"


def _rounded(value: float) -> float:
    """To what is worth comparing: three figures, or whole numbers from a hundred on."""
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")


if __name__ == "__main__":
    sys.exit(main())
