"""Tags on any resource (reference "Tags"): what may be given at creation, and what a change leaves.

At most 50 on a resource; the lengths of keys and values are checked by ``wire``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batchyard.errors import ClientError

TAGS_MAX = 50
RESERVED = "aws:"  # in any case
OURS = "batchyard:"  # read when a resource is made, and never again


def checked(tags: Any) -> dict[str, str]:
    """The tags as a dict, `{}` if none were given."""
    if not tags:
        return {}
    for key in tags:
        if key[: len(RESERVED)].lower() == RESERVED:
            raise ClientError(f"Tag key {key!r} begins with {RESERVED}, which is reserved.", "Choose another key.")
    return _few(tags)


def joined(current: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """`current` with `more`, which wins; ClientError if that cannot be."""
    changed = _few(current | checked(more))
    _check_ours(current, changed)
    return changed


def without(current: dict[str, str], keys: Iterable[str]) -> dict[str, str]:
    """`current` without the tags of these keys; those that are not there are no mistake."""
    gone = frozenset(keys)
    changed = {key: value for key, value in current.items() if key not in gone}
    _check_ours(current, changed)
    return changed


def propagated(definition: dict[str, str], job: dict[str, str]) -> dict[str, Any]:
    """Members of the job's body for the tags that its tasks bear: the definition's, and the job's own, which win.

    Too many of them are no mistake of the submission: AWS fails the job when it makes the task (reference "Tags").
    """
    found = definition | job
    if len(found) <= TAGS_MAX:
        return {"taskTags": found}
    refused = f"the tags of the job definition and of the job are {len(found)} together, a task can have {TAGS_MAX}."
    return {"taskTags": found, "refused": f"{refused} Give fewer, or submit with propagateTags false."}


def _few(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        raise ClientError(
            f"A resource can have at most {TAGS_MAX} tags, got {len(tags)}.", "Give fewer, or untag some first."
        )
    return tags


def _check_ours(before: dict[str, str], after: dict[str, str]) -> None:
    for key in before.keys() | after.keys():
        if key.startswith(OURS) and before.get(key) != after.get(key):
            raise ClientError(
                f"Tag {key} is read when a resource is made, and changing it now would change nothing.",
                "Make a new resource with the tag as you want it.",
            )
