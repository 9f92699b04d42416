"""What a job asks for and does not get, as plain sentences in the job's `notices`.

Never mixed into statusReason, container.reason or the log, which clients match. Empty members ask for nothing. What
depends on the machine as it is when one looks is added then (``doctor/about.py``). The sentences speak of jobs that
run as processes on this machine, the only executor there is so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchyard.model.logplaces import DEFAULT_GROUP, GROUP_OPTION, PREFIX_OPTION

# Member of the container -> why it has no effect. `{value}` is what was asked.
_WITHOUT_EFFECT = {
    "image": "image {value} is not used: the command runs as a process on this machine, with its files.",
    "volumes": "volumes are not mounted: the job sees this machine's files.",
    "mountPoints": "mountPoints are not mounted: the job sees this machine's files.",
    "linuxParameters": "linuxParameters are not applied.",
    "ulimits": "ulimits are not applied: the server's own limits hold.",
    "secrets": "secrets are not fetched: their environment variables are not set.",
    "jobRoleArn": "jobRoleArn {value} gives no credentials: pass them in the environment if the job needs them.",
    "executionRoleArn": "executionRoleArn {value} gives no credentials: nothing is pulled or fetched with it.",
    "privileged": "privileged gives no extra rights.",
    "readonlyRootFilesystem": "readonlyRootFilesystem is not applied: the job may write where its user may.",
    "enableExecuteCommand": "enableExecuteCommand has no effect: no session can be opened into the job.",
    "repositoryCredentials": "repositoryCredentials are not used: no image is pulled.",
    "networkConfiguration": "networkConfiguration has no effect: the job uses this machine's network.",
    "fargatePlatformConfiguration": "fargatePlatformConfiguration has no effect: the platform is this machine.",
    "runtimePlatform": "runtimePlatform is not looked at: the command runs on this machine's system and processor.",
    "ephemeralStorage": "ephemeralStorage is not set aside: the job shares this machine's disk.",
    "instanceType": "instanceType {value} is only for multi-node jobs and has no effect.",
}
_APPLIED = (GROUP_OPTION, PREFIX_OPTION, "awslogs-create-group")  # groups are made as they are used


def of_container(container: Mapping[str, Any], region: str) -> list[str]:
    """Sentences for the container of a definition of `region`, which overrides cannot take back."""
    said = [
        sentence.replace("{value}", str(container[member]))
        for member, sentence in _WITHOUT_EFFECT.items()
        if container.get(member)
    ]
    if container.get("logConfiguration"):
        said += _of_log(container["logConfiguration"], region)
    return said


def of_merged(container: Mapping[str, Any], asked_gpus: int, gpus: int) -> list[str]:
    """Sentences for what overrides may have changed; `gpus` is how many the machine lends to jobs."""
    said = []
    if not container.get("command"):
        said.append("command is empty: the image's own command would run, but no image is used, so nothing can start.")
    for entry in container.get("environment") or ():
        if entry["name"].startswith("AWS_BATCH"):
            said.append(f"environment {entry['name']} is reserved: the value that Batch sets wins.")
    if asked_gpus > gpus:
        said.append(f"GPU: {asked_gpus} asked, this machine lends {gpus} to jobs: the job waits in RUNNABLE.")
    return said


def _of_log(log: Mapping[str, Any], region: str) -> list[str]:
    if log["logDriver"] != "awslogs":
        return [f"logConfiguration: driver {log['logDriver']} is not used; the log is in group {DEFAULT_GROUP}."]
    said = []
    for option, value in (log.get("options") or {}).items():
        if option in _APPLIED or (option == "awslogs-region" and value == region):
            continue
        said.append(f"logConfiguration: option {option}={value} is not applied.")
    return said
