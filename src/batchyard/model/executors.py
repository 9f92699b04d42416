"""Which executor holds an attempt: a container of its image, or a process of the machine (setting `executor`)."""

from __future__ import annotations

from collections.abc import Sequence

AUTO, CONTAINER, PROCESS = "auto", "container", "process"
PROCESS_IMAGE = "host"  # an image of this name is the machine, and the job a process of it


def chosen(images: Sequence[str | None], setting: str, engine_there: bool) -> str | None:
    """CONTAINER or PROCESS for an attempt whose containers have these images; None: there is none for it.

    `engine_there` is whether a container engine passed its trial. A process is one container's stand-in at most.
    """
    if list(images) == [PROCESS_IMAGE]:
        return PROCESS
    if engine_there and setting != PROCESS:
        return CONTAINER
    return PROCESS if setting != CONTAINER and len(images) == 1 else None
