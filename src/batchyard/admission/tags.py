"""Tags on any resource (reference "Tags"): at most 50; lengths are checked by ``wire``."""

from __future__ import annotations

from typing import Any

from batchyard.errors import ClientError

TAGS_MAX = 50


def checked(tags: Any) -> dict[str, str]:
    """The tags as a dict, `{}` if none were given."""
    if not tags:
        return {}
    if len(tags) > TAGS_MAX:
        raise ClientError(f"A resource can have at most {TAGS_MAX} tags, got {len(tags)}.", "Give fewer tags.")
    return tags
