"""SETTINGS: one row each. Validation, ``--help``, the environment and the docs come from the same rows.

Precedence: flags, then environment (``BATCHYARD_`` and the name), then the TOML file, then the default. The TOML
file is ``--config``, else ``./batchyard.toml``, else ``~/.config/batchyard/config.toml``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ENV_PREFIX = "BATCHYARD_"


class SettingError(Exception):
    """A setting has a value it cannot have; the message names the setting, the value and where it came from."""


class Setting(NamedTuple):
    name: str  # python name; the flag is the same with hyphens, the variable BATCHYARD_ and upper case
    kind: Callable[[Any], Any]
    default: Any
    unit: str
    help: str


def _natural(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _positive(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _port(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= 65535:
        raise ValueError("must be a port, 0 to 65535 (0: any free one)")
    return number


def _account(value: Any) -> str:
    text = str(value)
    if not (text.isdigit() and len(text) == 12):
        raise ValueError("must be 12 digits")
    return text


def _level(value: Any) -> str:
    text = str(value).lower()
    if text not in ("debug", "info", "warning", "error"):
        raise ValueError("must be debug, info, warning or error")
    return text


def _names(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(part.strip() for part in parts if part.strip())


def _loopback(value: Any) -> str:
    text = str(value)
    if text not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError("must be a loopback address: 127.0.0.1, ::1 or localhost")
    return text


DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data", str, "", "path", "Data directory; empty: /var/lib/batchyard for root, else ~/.local/share/batchyard"
    ),
    Setting("host", _loopback, "127.0.0.1", "address", "Address to listen on"),
    Setting("port", _port, 22824, "port", "Port to listen on; 0 takes any free one"),
    Setting("account", _account, "123456789012", "12 digits", "Account number in ARNs"),
    Setting("vcpus", _natural, 0, "vCPUs", "vCPUs that jobs may hold together; 0: what the machine has"),
    Setting("memory", _natural, 0, "MiB", "Memory that jobs may hold together; 0: what the machine has"),
    Setting("gpus", _natural, 0, "GPUs", "GPUs that jobs may hold together"),
    Setting(
        "access_key_file", str, "", "path", "File (mode 0600) with ID:SECRET; empty: access-key in the data directory"
    ),
    Setting("process_path", str, DEFAULT_PATH, "PATH", "PATH of jobs that run as processes"),
    Setting("process_pass_env", _names, (), "names", "Variables of the server's environment that jobs get, by name"),
    Setting("stop_grace_s", _natural, 30, "seconds", "Between SIGTERM and SIGKILL when a job is stopped"),
    Setting("work_keep_hours", _natural, 24, "hours", "How long a job's working directory is kept after its end"),
    Setting("log_max_mib", _positive, 256, "MiB", "Bound of one attempt's log"),
    Setting("jobs_keep_days", _natural, 7, "days", "How long finished jobs and their logs are kept"),
    Setting("jobs_keep_most", _natural, 1_000_000, "jobs", "Finished jobs kept at most; an array counts its children"),
    Setting(
        "disk_reserve_mib", _natural, 16, "MiB", "With less free for the data directory, nothing new is taken or run"
    ),
    Setting("log_level", _level, "warning", "level", "What the server says on standard error"),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """All settings, resolved. `data` is absolute; the same fields as the rows of SETTINGS."""

    data: str
    host: str
    port: int
    account: str
    vcpus: int
    memory: int
    gpus: int
    access_key_file: str
    process_path: str
    process_pass_env: tuple[str, ...]
    stop_grace_s: int
    work_keep_hours: int
    log_max_mib: int
    jobs_keep_days: int
    jobs_keep_most: int
    disk_reserve_mib: int
    log_level: str

    @property
    def data_path(self) -> Path:
        return Path(self.data)


def default_data(environ: Mapping[str, str]) -> str:
    """The data directory when none is set."""
    if os.geteuid() == 0:
        return "/var/lib/batchyard"
    base = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/share")
    return os.path.join(base, "batchyard")


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, config: str | None = None
) -> Settings:
    """Resolve the settings; flags whose value is None were not given. Raises SettingError."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    for source, given in (
        (_toml_path(environ, config), _from_toml(_toml_path(environ, config))),
        ("environment", _from_environment(environ)),
        ("flags", {name: value for name, value in (flags or {}).items() if value is not None}),
    ):
        for name, value in given.items():
            values[name] = _checked(name, value, str(source))
    values["data"] = os.path.abspath(os.path.expanduser(values["data"] or default_data(environ)))
    return Settings(**values)


def _checked(name: str, value: Any, source: str) -> Any:
    setting = _BY_NAME.get(name)
    if setting is None:
        raise SettingError(f"{source}: there is no setting {name!r}; known are {', '.join(sorted(_BY_NAME))}")
    try:
        return setting.kind(value)
    except (ValueError, TypeError) as error:
        raise SettingError(f"{source}: {name} = {value!r} {error}") from None


def _toml_path(environ: Mapping[str, str], config: str | None) -> Path | None:
    if config:
        return Path(config)
    home = environ.get("HOME") or os.path.expanduser("~")
    for path in (Path("batchyard.toml"), Path(home) / ".config/batchyard/config.toml"):
        if path.is_file():
            return path
    return None


def _from_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path}: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[ENV_PREFIX + name.upper()] for name in _BY_NAME if environ.get(ENV_PREFIX + name.upper())}
