"""containerOverrides: how they merge over a definition's container (reference "SubmitJob", containerOverrides)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from batchyard.admission import merging, requirements
from batchyard.admission.compiled import CompiledDefinition
from batchyard.model.needs import Needs
from batchyard.wire.shapes import ContainerOverrides

_DEPRECATED_KEY = (
    "containerOverrides.{member}: This value was submitted in a deprecated key and may conflict with the value "
    "provided by the job definition's resource requirements. It is ignored; use resourceRequirements."
)


def merge(overrides: ContainerOverrides, definition: CompiledDefinition) -> tuple[dict[str, Any], Needs, list[str]]:
    """The merged container, its needs, and notices of what had no effect; ClientError if an override breaks a rule.

    The command is replaced as a whole (an empty one replaces nothing), environment merges by name,
    resourceRequirements by type; `vcpus` and `memory` act only on definitions that use them.
    """
    container, said = merging.command_and_environment(overrides, definition.container), []
    if overrides.instanceType:
        said.append("containerOverrides.instanceType is only for multi-node jobs and has no effect.")
    needs = _merge_needs(container, overrides, definition, said)
    return container, needs, said


def _merge_needs(
    container: dict[str, Any], overrides: ContainerOverrides, definition: CompiledDefinition, said: list[str]
) -> Needs:
    """Merge what is asked of the machine into `container` and return it as Needs; add to `said` what is ignored."""
    listed = overrides.resourceRequirements or []
    kinds = {requirement.type for requirement in listed}
    acting = {"vcpus": UNSET, "memory": UNSET}
    for member, kind in (("vcpus", "VCPU"), ("memory", "MEMORY")):
        value = getattr(overrides, member)
        if kind in kinds:
            container.pop(member, None)  # the requirement takes the place of the older way to ask
        elif value is not UNSET and member in container:
            container[member] = acting[member] = value
        elif value is not UNSET:
            said.append(_DEPRECATED_KEY.replace("{member}", member))
    asked = requirements.read(listed, acting["vcpus"], acting["memory"], definition.capability == "FARGATE")
    if listed:
        container["resourceRequirements"] = merging.by("type", container.get("resourceRequirements"), listed)
    cpu_milli, memory_mib, gpus = definition.needs
    needs = Needs(asked.cpu_milli or cpu_milli, asked.memory_mib or memory_mib, asked.gpus or gpus)
    if definition.capability == "FARGATE":
        requirements.check_fargate(needs)
    return needs
