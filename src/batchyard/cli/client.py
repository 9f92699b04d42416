"""A small signed client for the public HTTP API, and how the server and the key are found.

Endpoint: ``--endpoint``, else ``BATCHYARD_ENDPOINT``, else what ``serve`` wrote into the data directory.
Key: ``BATCHYARD_ACCESS_KEY_ID`` and ``BATCHYARD_SECRET_ACCESS_KEY``, else the setting ``access_key_file``, else
``access-key`` in the data directory.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from batchyard import config
from batchyard.access import keys, sigv4

REGION = "us-east-1"
LOG_GROUP = "/aws/batch/job"
TIMEOUT_S = 30.0
STREAM_TIMEOUT_S = 3600.0  # before the first byte of a backup of many gigabytes
_LOGS_TARGET = "Logs_20140328."


class Problem(click.ClickException):
    """Something to tell the user: what is wrong, and on a second line the next step, None if the message has it."""

    def __init__(self, message: str, next_step: str | None, exit_code: int = 1):
        super().__init__(message)
        self.next_step = next_step
        self.exit_code = exit_code

    def show(self, file: Any = None) -> None:
        click.echo(f"batchyard: {self.message}", err=True)
        if self.next_step:
            click.echo(f"  {self.next_step}", err=True)


class Unreachable(Problem):
    """Nothing answered at the endpoint."""


class Refused(Problem):
    """The server answered with an error; `code` is AWS's name for it, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int):
        super().__init__(message or code, None)  # the server's texts say what to do
        self.code = code
        self.status = status


class Place(NamedTuple):
    """Where the server is and with which key requests to it are signed."""

    endpoint: str
    key_id: str
    secret: str


def locate(data: str | None = None, endpoint: str | None = None, environ: Mapping[str, str] = os.environ) -> Place:
    """Find the server's endpoint and key (order: module docstring). Problem says what is missing."""
    try:
        settings = config.load({"data": data}, environ)
        url = endpoint or environ.get("BATCHYARD_ENDPOINT") or written_endpoint(settings.data_path)
        key = keys.from_environment(environ) or keys.read(settings.access_key_file or settings.data_path / "access-key")
    except keys.KeyFileError as error:
        raise Problem(
            str(error)[0].upper() + str(error)[1:] + ".",
            f"Run this as the server's user, or set {keys.ID_VARIABLE} and {keys.SECRET_VARIABLE}.",
        ) from None
    except config.SettingError as error:
        raise wrong_setting(error) from None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(f"{url!r} is no endpoint.", "Give one like http://127.0.0.1:22824.")
    return Place(url.rstrip("/"), key.id, key.secret)


def written_place(data: Path) -> Place:
    """Where the server on this data directory is, whatever the settings say. Unreachable if none runs."""
    endpoint = written_endpoint(data)
    return Place(endpoint, *keys.read(data / "access-key"))


def written_endpoint(data: Path) -> str:
    """The URL that a running server has written into its data directory. Unreachable if none runs."""
    try:
        if url := (data / "endpoint").read_text().strip():
            return url
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Problem(
            f"{data / 'endpoint'} cannot be read: {error.strerror}.",
            "Run this as the server's user, or set BATCHYARD_ENDPOINT and the access key in the environment.",
        ) from None
    raise Unreachable(f"No server runs on the data directory {data}.", f"Start one: {_serve(data)}")


def _serve(data: Path) -> str:
    """The command that starts a server on `data`."""
    default = config.default_data(os.environ)
    return "batchyard serve" if str(data) == default else f"batchyard serve --data {data}"


class Client:
    """Calls operations at a place; one kept-alive connection. Not for several threads.

    With `patience_s` a server that does not answer (it is being restarted) is asked again for so long, and the
    place is found anew each time. A submission carries an invocation id, so asking again never submits twice.
    """

    def __init__(self, find: Callable[[], Place], patience_s: float = 0.0):
        self._find = find
        self._place = find()
        self._connection: http.client.HTTPConnection | None = None
        self.patience_s = patience_s

    @property
    def endpoint(self) -> str:
        return self._place.endpoint

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """One operation of the Batch API, by its name and parameters as in AWS's reference. Refused, Unreachable."""
        headers = {"content-type": "application/json"}
        return self._patiently("POST", f"/v1/{operation.lower()}", "batch", headers, params)

    def logs(self, operation: str, **params: Any) -> dict[str, Any]:
        """One operation of the CloudWatch Logs API. Refused, Unreachable."""
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": _LOGS_TARGET + operation}
        return self._patiently("POST", "/", "logs", headers, params)

    def get(self, path: str) -> dict[str, Any]:
        """One of our own routes, such as ``/x/jobs/ID``. Refused, Unreachable."""
        return self._patiently("GET", path, "batch", {}, None)

    def post(self, path: str, **given: Any) -> dict[str, Any]:
        """POST to one of our own routes, such as ``/x/admin/interrupt``. Refused, Unreachable."""
        return self._patiently("POST", path, "batch", {"content-type": "application/json"}, given)

    def stream(self, path: str) -> http.client.HTTPResponse:
        """POST to one of our own routes whose answer is long; the caller reads it. Refused, Unreachable."""
        self.close()
        try:
            response = self._answer("POST", path, "batch", {}, b"", STREAM_TIMEOUT_S)
            payload = response.read() if response.status >= 400 else b""
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        if response.status >= 400:
            raise _refused(response.status, response.headers, payload, self.endpoint)
        return response

    def close(self) -> None:
        """Drop the connection: also after an interrupt in the middle of a request, before the next one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _patiently(self, method: str, path: str, service: str, headers: dict[str, str], params: Any) -> dict[str, Any]:
        body = b"" if params is None else json.dumps(params).encode()
        headers["amz-sdk-invocation-id"] = str(uuid.uuid4())
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return self._send(method, path, service, headers, body)
            except Unreachable:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.2)
            try:
                self._place = self._find()
            except Unreachable:
                pass

    def _send(self, method: str, path: str, service: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        idle = self._connection is not None
        try:
            status, answer_headers, payload = self._exchange(method, path, service, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if idle and isinstance(error, ConnectionError | http.client.BadStatusLine):  # kept alive too long
                return self._send(method, path, service, headers, body)
            raise self._unreachable(error) from None
        if status >= 400:
            raise _refused(status, answer_headers, payload, self.endpoint)
        return _decoded(status, payload, self.endpoint)

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"Nothing answers at {self.endpoint}: {error or type(error).__name__}.",
            "Is the server running? Start it: batchyard serve",
        )

    def _exchange(
        self, method: str, path: str, service: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self._answer(method, path, service, headers, body, TIMEOUT_S)
        return response.status, response.headers, response.read()

    def _answer(
        self, method: str, path: str, service: str, headers: dict[str, str], body: bytes, timeout_s: float
    ) -> http.client.HTTPResponse:
        """The answer to a signed request, its body not read yet; `timeout_s` is of a new connection."""
        parts = urlsplit(self.endpoint)
        if self._connection is None:
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(parts.netloc, timeout=timeout_s)
        amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {**headers, "host": parts.netloc}
        place = self._place
        signed = sigv4.sign(method, path, "", headers, body, place.key_id, place.secret, REGION, service, amz_date)
        self._connection.request(method, path, body=body or None, headers=headers | signed)
        return self._connection.getresponse()


def _decoded(status: int, payload: bytes, endpoint: str) -> dict[str, Any]:
    try:
        found = json.loads(payload) if payload else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Problem(
            f"{endpoint} answered {status} with something that is no JSON object.",
            "Is it Batchyard's server, with no proxy in between? GET /x/health tells.",
        )
    return found


def wrong_setting(error: config.SettingError) -> Problem:
    """What to tell of a setting that cannot be."""
    return Problem(f"{error}.", "batchyard serve --help lists the settings and what each may be.")


def _refused(status: int, headers: Mapping[str, str], payload: bytes, endpoint: str) -> Refused:
    answer = _decoded(status, payload, endpoint)
    code = headers.get("x-amzn-errortype") or answer.get("__type") or f"HTTP {status}"
    return Refused(code.split(":")[0], answer.get("message") or answer.get("Message") or "", status)


def connection_options(command: Callable) -> Callable:
    """``--data`` and ``--endpoint``, for every command that talks to a server."""
    command = click.option("--endpoint", metavar="URL", help="Server to talk to (or BATCHYARD_ENDPOINT).")(command)
    return click.option("--data", metavar="DIR", help="The server's data directory (or BATCHYARD_DATA).")(command)


def connect(data: str | None, endpoint: str | None, patience_s: float = 0.0) -> Client:
    """A client for the options of ``connection_options``."""
    return Client(lambda: locate(data, endpoint), patience_s)
