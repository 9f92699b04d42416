"""What the server's processes say of themselves: one line an event, as text for people or as JSON for programs.

Every process calls ``setup`` once; all others use the standard library's ``logging``. What a line carries besides its
message is given as ``extra``: ``log.info("answered", extra={"status": 200})``. Lines told while a request is answered
carry its id. Nothing is told that a caller sent as a secret: no bodies, signatures, keys or values of environments.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

FORMATS = ("text", "json")
TEXT, JSON = FORMATS

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")  # and what turns a line around
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")


class Lines(logging.Formatter):
    """Formats records for the process called `role`."""

    def __init__(self, role: str, form: str):
        super().__init__()
        self.role = role
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": _time(record.created),
            "role": self.role,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {name: value for name, value in vars(record).items() if name not in _USUAL}
        if (request := request_id.get()) is not None:
            fields.setdefault("request", request)
        error = self.formatException(record.exc_info) if record.exc_info else None
        if self._form == JSON:
            return json.dumps(told | fields | ({"error": error} if error else {}), default=str)
        head = "{time} {role} {level} {logger}: ".format_map(told)
        words = [_one_line(told["message"]), *(f"{name}={_word(value)}" for name, value in fields.items())]
        return (
            head
            + " ".join(words)
            + ("".join(f"\n    {_one_line(line)}" for line in error.split("\n")) if error else "")
        )


def setup(role: str, level: str, form: str) -> None:
    """Send what this process says of `level` and above to standard error, and what it dies of as well."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(role, form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a line that cannot be written ends nobody
    sys.excepthook = _tell_death
    threading.excepthook = lambda dying: _tell_death(dying.exc_type, dying.exc_value, dying.exc_traceback)


def rename(role: str) -> None:
    """This process, forked from another one, is called `role` from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, Lines):
            handler.formatter.role = role


def _tell_death(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    logging.getLogger("batchyard").critical("%s", kind.__name__, exc_info=(kind, error, trace))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """Nothing that a caller chose can begin a line of its own or move a cursor."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
