#!/usr/bin/env python3
"""At which porosity does water find its way through? One child of an array tries one porosity; `gather` compares.

Each site of a square lattice is open with the same probability. Water enters at the top and goes from open site to
open neighbour; the sample percolates if it reaches the bottom. In an endless lattice that starts at 0.592746.
"""

import json
import os
import random
import sys
from pathlib import Path

SIDE, SAMPLES = 48, 200
FIRST, STEP = 0.53, 0.01  # child 0 tries 0.53, child 1 0.54, ...


def percolates(chance: random.Random, porosity: float) -> bool:
    """Whether water gets through a new random lattice."""
    size = SIDE * SIDE
    is_open = [chance.random() < porosity for _ in range(size)]
    wet = [site for site in range(SIDE) if is_open[site]]
    for site in wet:
        is_open[site] = False
    while wet:
        site = wet.pop()
        if site >= size - SIDE:
            return True
        column = site % SIDE
        around = (site + SIDE, site - SIDE if site >= SIDE else -1)
        around += (site - 1 if column else -1, site + 1 if column < SIDE - 1 else -1)
        for near in around:
            if near >= 0 and is_open[near]:
                is_open[near] = False
                wet.append(near)
    return False


def sample(out: Path) -> None:
    """The work of one child. Its random numbers depend on its index alone, so it does the same when tried again."""
    index = int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
    porosity = FIRST + STEP * index
    chance = random.Random(index)
    through = sum(percolates(chance, porosity) for _ in range(SAMPLES))
    part = out / f"{index}.json"
    part.with_suffix(".new").write_text(json.dumps({"porosity": porosity, "through": through / SAMPLES}))
    part.with_suffix(".new").rename(part)  # whole or not there, should the child be killed here
    print(f"porosity {porosity:.2f}: {through} of {SAMPLES} samples")


def gather(out: Path) -> None:
    """A picture of all children, and where the curve crosses one half."""
    points = sorted((part["porosity"], part["through"]) for part in map(_read, out.glob("*.json")))
    for porosity, through in points:
        print(f"{porosity:.2f} {'#' * round(through * 40):40} {through:.3f}")
    for (low, under), (high, over) in zip(points, points[1:], strict=False):
        if under < 0.5 <= over:
            print(f"threshold {low + (high - low) * (0.5 - under) / (over - under):.3f}")


def _read(path: Path) -> dict:
    return json.loads(path.read_text())


if __name__ == "__main__":
    {"sample": sample, "gather": gather}[sys.argv[1]](Path(sys.argv[2]))
