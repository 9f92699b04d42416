"""Registers a definition with much in it; prints each member that came back as something else."""

import json

import boto3

GIVEN = {
    "type": "container",
    "parameters": {"nf-token": "0123", "b": "", "a": "1"},
    "containerProperties": {
        "image": "registry.example:5000/team/tool@sha256:" + 64 * "0",
        "command": ["sh", "-c", "true"],
        "jobRoleArn": "arn:aws:iam::123456789012:role/any",
        "environment": [{"name": "Z", "value": "1"}, {"name": "A", "value": "2"}],
        "mountPoints": [{"containerPath": "/scratch", "sourceVolume": "scratch"}],
        "volumes": [{"name": "scratch", "host": {"sourcePath": "/nowhere/at/all"}}],
        "ulimits": [],
        "secrets": [],
        "privileged": False,
        "readonlyRootFilesystem": False,
        "linuxParameters": {},
        "resourceRequirements": [{"type": "MEMORY", "value": "64"}, {"type": "VCPU", "value": "1"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {}, "secretOptions": []},
    },
    "retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]},
    "propagateTags": False,
    "timeout": {"attemptDurationSeconds": 60},
    "tags": {"nextflow.io/version": "1"},
    "platformCapabilities": ["EC2"],
}

batch = boto3.client("batch")
batch.register_job_definition(jobDefinitionName="everything", **GIVEN)
(shown,) = batch.describe_job_definitions(jobDefinitionName="everything", status="ACTIVE")["jobDefinitions"]


def differences(given: dict, back: dict) -> dict:
    return {name: back.get(name) for name, value in given.items() if back.get(name) != value}


different = differences(GIVEN, shown)
if "containerProperties" in different:
    different |= differences(GIVEN["containerProperties"], different.pop("containerProperties"))
print(json.dumps(different))
