"""STS: who one is. Many clients ask before anything else, to learn the account number.

Access keys are this server's own, and there are no users yet: the key stands for one of its own name.
"""

from __future__ import annotations

from batchyard.api.context import Call, Context
from batchyard.wire.shapes import GetCallerIdentityRequest, GetCallerIdentityResponse


async def get_caller_identity(
    context: Context, call: Call, request: GetCallerIdentityRequest
) -> GetCallerIdentityResponse:
    account = context.settings.account
    return GetCallerIdentityResponse(
        UserId=call.key_id, Account=account, Arn=f"arn:aws:iam::{account}:user/{call.key_id}"
    )


OPERATIONS = {"GetCallerIdentity": get_caller_identity}
