"""The catalogue of instance types, shown and replaced: our own route.

What is put there holds at once for environments that are created or changed from then on. Those that exist keep the
types that they resolved, with their prices: what the engine was told does not change behind its back.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from batchyard.api.context import Call, Context
from batchyard.errors import ClientError

CATALOGUE = "/x/admin/catalogue"


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    csv: str | None  # None: the one that comes with Batchyard


async def show(context: Context) -> dict[str, Any]:
    text, own = await asyncio.to_thread(context.catalogue.text)
    return {"own": own, "csv": text}


async def replace(context: Context, call: Call) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(call.body, type=_Given)
    except msgspec.MsgspecError as error:
        raise ClientError(
            f"The body is not what it must be: {error}.", 'Send {"csv": "..."}, or {"csv": null} to have ours.'
        ) from None
    return await asyncio.to_thread(context.catalogue.replace, given.csv)
