"""The demo's pipeline: six stages, who waits for whom, and how they are submitted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import batchyard
from batchyard.cli.client import Client
from batchyard.cli.run import IMAGE, QUEUE, ensure_default_queue
from batchyard.cli.timeline import Ran

CHILDREN = 16
MEMORY_MIB = 256
ATTEMPTS = 2  # a job that is killed is tried again


class Stage(NamedTuple):
    letter: str
    step: str  # of batchyard.relief
    does: str
    is_array: bool = False
    after: str = ""  # letters of the stages that must have ended
    beside: str = ""  # letter of the array whose child N must have ended before our child N runs (N_TO_N)

    @property
    def size(self) -> int:
        return CHILDREN if self.is_array else 1

    @property
    def name(self) -> str:
        return f"{self.letter} {self.step}"


STAGES = (
    Stage("A", "survey", "finds streams, lakes and colours in the whole model"),
    Stage("B", "refine", "heights, slopes and open sky of each strip", is_array=True),
    Stage("C", "shade", "light and colour", is_array=True, after="A", beside="B"),
    Stage("D", "draw", "contour lines and names, packed for the picture", is_array=True, beside="C"),
    Stage("E", "picture", "the strips become one picture", after="D"),
    Stage("F", "figures", "what the strips have counted", after="D"),
)


def explained(columns: int) -> str:
    """The pipeline in a few lines, and in a wide terminal what each stage does."""
    rows = []
    for stage in STAGES:
        jobs = f"array of {stage.size}" if stage.is_array else "one job"
        waits = " and ".join([*stage.after, *(f"its {letter}" for letter in stage.beside)])
        waits = f"{'each after' if stage.beside else 'after'} {waits}" if waits else ""
        rows.append((f"  {stage.name:<9}  {jobs:<11}  {waits:<22}  ", stage.does))
    wide = columns > max(len(row) + len(does) for row, does in rows)
    return "\n".join((row + does if wide else row).rstrip() for row, does in rows)


def waits_for(job: Ran, jobs: Iterable[Ran]) -> Iterator[Ran]:
    """Those of `jobs` that this one had to wait for."""
    stage = next(each for each in STAGES if each.name == job.stage)
    for other in jobs:
        letter = other.stage[0]
        if letter in stage.after or (letter in stage.beside and other.index == job.index):
            yield other


def register(client: Client) -> dict[str, str]:
    """Make a queue and the six job definitions; returns their ARNs by letter."""
    ensure_default_queue(client)
    return {stage.letter: _registered(client, stage) for stage in STAGES}


def submit(client: Client, definitions: dict[str, str], folder: Path) -> dict[str, str]:
    """Submit all six jobs at once; returns their ids by letter.

    In which order they run is the scheduler's business: nothing here waits for a job.
    """
    ids: dict[str, str] = {}
    for stage in STAGES:
        waits = [{"jobId": ids[letter]} for letter in stage.after]
        waits += [{"jobId": ids[letter], "type": "N_TO_N"} for letter in stage.beside]
        request: dict[str, Any] = {
            "jobName": stage.step,
            "jobQueue": QUEUE,
            "jobDefinition": definitions[stage.letter],
            "parameters": {"folder": str(folder), "strips": str(CHILDREN)},
            "dependsOn": waits,
        }
        if stage.is_array:
            request["arrayProperties"] = {"size": stage.size}
        ids[stage.letter] = client.call("SubmitJob", **request)["jobId"]
    return ids


def _registered(client: Client, stage: Stage) -> str:
    """The ARN of the stage's job definition: this Python, running that step with this very package."""
    package = Path(batchyard.__file__).resolve().parents[1]
    properties = {
        "image": IMAGE,
        "command": [sys.executable, "-P", "-m", "batchyard.relief", stage.step, "Ref::folder", "Ref::strips"],
        "environment": [{"name": "PYTHONPATH", "value": str(package)}],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": str(MEMORY_MIB)}],
    }
    return client.call(
        "RegisterJobDefinition",
        jobDefinitionName=f"relief-{stage.step}",
        type="container",
        containerProperties=properties,
        retryStrategy={"attempts": ATTEMPTS},
    )["jobDefinitionArn"]
