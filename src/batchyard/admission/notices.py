"""What a job asks for and does not get, as plain sentences in the job's `notices`.

Never mixed into statusReason, container.reason or the log, which clients match. Empty members ask for nothing. What
depends on the executor that the job has, and on the machine as it is when one looks, is added then
(``executor_notices.py``, ``doctor/about.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchyard.model.logplaces import DEFAULT_GROUP, GROUP_OPTION, PREFIX_OPTION

# Member of the container or the task -> why it has no effect. `{value}` is what was asked.
_WITHOUT_EFFECT = {
    "executionRoleArn": "executionRoleArn {value} gives no credentials: secrets and registries are asked with those of "
    "the server.",
    "enableExecuteCommand": "enableExecuteCommand has no effect: no session can be opened into the job.",
    "networkConfiguration": "networkConfiguration has no effect: the job uses this machine's network, or the one that "
    "the setting container_network names.",
    "fargatePlatformConfiguration": "fargatePlatformConfiguration has no effect: the platform is this machine.",
    "platformVersion": "platformVersion {value} has no effect: the platform is this machine.",
    "ephemeralStorage": "ephemeralStorage is not set aside: the job shares this machine's disk.",
    "instanceType": "instanceType {value} is only for multi-node jobs and has no effect.",
    "firelensConfiguration": "firelensConfiguration has no effect: no log router is run.",
}
_OF_FILE_SYSTEM = {
    "transitEncryption": "transitEncryption has no effect: a directory of this machine stands for the file system.",
    "transitEncryptionPort": "transitEncryptionPort has no effect: a directory of this machine stands for the file "
    "system.",
    "iam": "authorizationConfig.iam has no effect: a directory of this machine stands for the file system.",
}
_APPLIED = (GROUP_OPTION, PREFIX_OPTION, "awslogs-create-group")  # groups are made as they are used


def of_container(container: Mapping[str, Any], region: str) -> list[str]:
    """Sentences for the container of a definition of `region`, which overrides cannot take back."""
    said = [
        sentence.replace("{value}", str(container[member]))
        for member, sentence in _WITHOUT_EFFECT.items()
        if container.get(member)
    ]
    for volume in container.get("volumes") or ():
        said += _of_file_system(volume)
    if container.get("logConfiguration"):
        said += _of_log(container["logConfiguration"], region)
    return said


def _of_file_system(volume: Mapping[str, Any]) -> list[str]:
    given = volume.get("efsVolumeConfiguration") or volume.get("s3filesVolumeConfiguration") or {}
    given = given | (given.get("authorizationConfig") or {})
    return [
        f"volumes {volume.get('name')}: {sentence}"
        for member, sentence in _OF_FILE_SYSTEM.items()
        if given.get(member) not in (None, "DISABLED")
    ]


def of_merged(container: Mapping[str, Any], asked_gpus: int, gpus: int) -> list[str]:
    """Sentences for what overrides may have changed; `gpus` is how many the machine lends to jobs."""
    said = []
    for entry in container.get("environment") or ():
        if entry["name"].startswith("AWS_BATCH"):
            said.append(f"environment {entry['name']} is reserved: the value that Batch sets wins.")
    return said + _of_gpus(asked_gpus, gpus)


def of_task(task: Mapping[str, Any], region: str) -> list[str]:
    """Likewise for a task of several containers: each is named where a sentence is about it."""
    said = of_container({member: value for member, value in task.items() if member != "containers"}, region)
    for each in task["containers"]:
        said += [f"container {each['name']}: {sentence}" for sentence in of_container(each, region)]
    return said


def of_merged_task(task: Mapping[str, Any], asked_gpus: int, gpus: int) -> list[str]:
    said = []
    for each in task["containers"]:
        said += [f"container {each['name']}: {sentence}" for sentence in of_merged(each, 0, gpus)]
    return said + _of_gpus(asked_gpus, gpus)


def _of_gpus(asked: int, there: int) -> list[str]:
    if asked <= there:
        return []
    return [f"GPU: {asked} asked, this machine lends {there} to jobs: the job waits in RUNNABLE."]


def _of_log(log: Mapping[str, Any], region: str) -> list[str]:
    if log["logDriver"] == "json-file":
        return [f"logConfiguration: driver json-file is not used; the log is in group {DEFAULT_GROUP}."]
    if log["logDriver"] != "awslogs":
        return []
    said = []
    for option, value in (log.get("options") or {}).items():
        if option in _APPLIED or (option == "awslogs-region" and value == region):
            continue
        said.append(f"logConfiguration: option {option}={value} is not applied.")
    return said
