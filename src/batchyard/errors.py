"""The errors callers see: few classes by whose fault it is.

Each knows the AWS error code and the HTTP status; the message says what was wrong and, where AWS's own text is
not the contract, what to do next. Source of codes: reference "Wire protocol and errors".
"""

from __future__ import annotations


class ApiError(Exception):
    """Base: something to tell the caller in AWS's error shape."""

    code = "ServerException"
    status = 500

    def __init__(self, message: str, next_step: str | None = None):
        self.message = message if next_step is None else f"{message} {next_step}"
        super().__init__(self.message)


class ClientError(ApiError):
    """The caller's request cannot be carried out as it stands."""

    code = "ClientException"
    status = 400


class ServerError(ApiError):
    """We failed; the same request may succeed later."""

    code = "ServerException"
    status = 500


class Unavailable(ApiError):
    """We cannot take it now (disk full, shutting down): nothing was changed; try again."""

    code = "ServiceUnavailableException"
    status = 503


class NotSigned(ApiError):
    """The request carries no signature, or one we cannot read."""

    code = "MissingAuthenticationTokenException"
    status = 403


class UnknownKey(ApiError):
    """The access key is not one of this server's."""

    code = "UnrecognizedClientException"
    status = 403


class BadSignature(ApiError):
    """The signature does not match, or its time is too far from ours."""

    code = "InvalidSignatureException"
    status = 403


class Forbidden(ApiError):
    """The caller is known but may not, or the request came from a web page or under a foreign host name."""

    code = "AccessDeniedException"
    status = 403


class UnknownOperation(ApiError):
    """No operation has this path or target."""

    code = "UnknownOperationException"
    status = 404


class TooLarge(ApiError):
    """The body is larger than any request this API has."""

    code = "RequestEntityTooLargeException"
    status = 413


class ResourceNotFound(ApiError):
    """CloudWatch Logs: no such group or stream."""

    code = "ResourceNotFoundException"
    status = 400


class InvalidParameter(ApiError):
    """CloudWatch Logs: a parameter has a value that it cannot have."""

    code = "InvalidParameterException"
    status = 400
