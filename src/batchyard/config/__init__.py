"""SETTINGS: one row each. Validation, ``--help``, the environment and the docs come from the same rows.

Precedence: flags, then environment (``BATCHYARD_`` and the name), then the TOML file, then the default. The TOML
file is ``--config``, else ``./batchyard.toml``, else ``~/.config/batchyard/config.toml``. A variable that is empty
counts as not set. Paths in the file are relative to the file's directory, others to the current one.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from batchyard.config import kinds
from batchyard.config.kinds import Kind

ENV_PREFIX = "BATCHYARD_"
# Variables of this prefix that are no settings: how commands find a server, and keys, which are not for a file.
OTHER_VARIABLES = frozenset({"BATCHYARD_ENDPOINT", "BATCHYARD_ACCESS_KEY_ID", "BATCHYARD_SECRET_ACCESS_KEY"})


class SettingError(Exception):
    """A setting has a value it cannot have; the message names the setting, the value and where it came from."""


class Setting(NamedTuple):
    name: str  # python name; the flag is the same with hyphens, the variable BATCHYARD_ and upper case
    kind: Kind
    default: Any
    unit: str
    help: str
    secret: bool = False  # its value is never shown

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()


DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data",
        kinds.PATH,
        "",
        "path",
        "Data directory; empty: /var/lib/batchyard for root, else ~/.local/share/batchyard",
    ),
    Setting("host", kinds.LOOPBACK, "127.0.0.1", "address", "Address to listen on"),
    Setting("port", kinds.PORT, 22824, "port", "Port to listen on; 0 takes any free one"),
    Setting("account", kinds.ACCOUNT, "123456789012", "12 digits", "Account number in ARNs"),
    Setting("vcpus", kinds.NATURAL, 0, "vCPUs", "vCPUs that jobs may hold together; 0: what the machine has"),
    Setting("memory", kinds.NATURAL, 0, "MiB", "Memory that jobs may hold together; 0: what the machine has"),
    Setting("gpus", kinds.ALL_OR_SOME, -1, "GPUs", "GPUs that jobs may hold together; -1: those that the machine has"),
    Setting(
        "access_key_file",
        kinds.PATH,
        "",
        "path",
        "File (mode 0600) with ID:SECRET; empty: access-key in the data directory",
    ),
    Setting(
        "executor",
        kinds.EXECUTOR,
        "auto",
        "auto, container or process",
        "How jobs run; auto: in containers where an engine passes its trial, else as processes",
    ),
    Setting(
        "engine_socket",
        kinds.PATH,
        "",
        "path",
        "Socket of the container engine (Docker or Podman); empty: the usual ones are tried",
    ),
    Setting("container_network", kinds.NETWORK, "host", "host, bridge or none", "Network of containers"),
    Setting(
        "host_paths",
        kinds.DIRECTORIES,
        (),
        "directories",
        "Directories below which volumes of jobs may lie that exist already, by commas",
    ),
    Setting(
        "efs",
        kinds.FILE_SYSTEMS,
        (),
        "fs-ID=/path",
        "Directories that stand for EFS file systems, or (fsap-ID) for their access points, by commas",
    ),
    Setting("privileged", kinds.SWITCH, False, "yes or no", "Jobs may ask for privileged containers"),
    Setting(
        "zip_from",
        kinds.ARCHIVES,
        (),
        "addresses",
        "Beginnings of the addresses that zipped applications (image zip:ADDRESS) may come from, by commas",
    ),
    Setting("zip_max_mib", kinds.POSITIVE, 512, "MiB", "Bound of a zipped application, and of what comes out of it"),
    Setting(
        "zip_image",
        kinds.TEXT,
        "public.ecr.aws/amazonlinux/amazonlinux:2023",
        "image",
        "Image in whose containers zipped applications run",
    ),
    Setting("process_path", kinds.TEXT, DEFAULT_PATH, "PATH", "PATH of jobs that run as processes"),
    Setting(
        "process_pass_env", kinds.NAMES, (), "names", "Variables of the server's environment that jobs get, by name"
    ),
    Setting(
        "job_endpoints",
        kinds.ENDPOINTS,
        (),
        "URLs",
        "AWS_ENDPOINT_URL of jobs: a URL, or SERVICE=URL, by commas; empty: those of the server's environment",
    ),
    Setting("sts_url", kinds.URL, "", "URL", "STS at which roles of jobs are assumed; empty: AWS_ENDPOINT_URL_STS"),
    Setting("secrets_dir", kinds.PATH, "", "path", "Directory with a file (mode 0600) for each secret, by its name"),
    Setting(
        "secrets_env",
        kinds.TEXT,
        "",
        "prefix",
        "Variables of the server's environment that begin so hold secrets, by name",
    ),
    Setting(
        "secretsmanager_url",
        kinds.URL,
        "",
        "URL",
        "Secrets Manager of jobs' secrets; empty: AWS_ENDPOINT_URL_SECRETS_MANAGER",
    ),
    Setting("ssm_url", kinds.URL, "", "URL", "Systems Manager of jobs' parameters; empty: AWS_ENDPOINT_URL_SSM"),
    Setting("instance_boot_s", kinds.NATURAL, 0, "seconds", "From the launch of an instance until it takes jobs"),
    Setting("instance_idle_s", kinds.NATURAL, 300, "seconds", "How long an idle instance above minvCpus stays"),
    Setting(
        "blocked_after_s",
        kinds.NATURAL,
        10,
        "seconds",
        "A job that cannot start at the head blocks its queue after so long",
    ),
    Setting(
        "blocked_without_room_after_s",
        kinds.NATURAL,
        300,
        "seconds",
        "Likewise where only room is missing, which others hold",
    ),
    Setting(
        "passing",
        kinds.SWITCH,
        False,
        "yes or no",
        "Jobs may start before the head of their queue if it waits no longer for it",
    ),
    Setting("spot_warning_s", kinds.NATURAL, 120, "seconds", "From the warning of a Spot interruption to the reclaim"),
    Setting(
        "spot_interruptions_per_day",
        kinds.NATURAL,
        0,
        "times",
        "How often, on average, each Spot instance or task is interrupted by chance; 0: never",
    ),
    Setting("stop_grace_s", kinds.NATURAL, 30, "seconds", "Between SIGTERM and SIGKILL when a job is stopped"),
    Setting("work_keep_hours", kinds.NATURAL, 24, "hours", "How long a job's working directory is kept after its end"),
    Setting("log_max_mib", kinds.POSITIVE, 256, "MiB", "Bound of one attempt's log"),
    Setting("jobs_keep_days", kinds.NATURAL, 7, "days", "How long finished jobs and their logs are kept"),
    Setting(
        "jobs_keep_most", kinds.NATURAL, 1_000_000, "jobs", "Finished jobs kept at most; an array counts its children"
    ),
    Setting(
        "disk_reserve_mib",
        kinds.NATURAL,
        16,
        "MiB",
        "With less free for the data directory, nothing new is taken or run",
    ),
    Setting(
        "metrics_file",
        kinds.PATH,
        "",
        "path",
        "Write the metrics there, too, for others to read; empty: nowhere",
    ),
    Setting(
        "event_file", kinds.PATH, "", "path", "File to which each change of a job's state is appended as a line of JSON"
    ),
    Setting(
        "event_webhooks",
        kinds.URLS,
        (),
        "URLs",
        "URLs to which each change is posted, by commas (in a URL: %2C)",
        secret=True,
    ),
    Setting("eventbridge_url", kinds.URL, "", "URL", "EventBridge endpoint to which each change is put"),
    Setting("eventbridge_bus", kinds.TEXT, "default", "name or ARN", "Event bus there"),
    Setting(
        "eventbridge_source", kinds.TEXT, "aws.batch", "name", "Source of these events; AWS itself refuses aws.batch"
    ),
    Setting(
        "on_event", kinds.COMMAND, "", "command", "Program run for each change, with the event on its standard input"
    ),
    Setting("on_event_timeout_s", kinds.POSITIVE, 60, "seconds", "How long that program may take for one event"),
    Setting("quit_runner", kinds.SWITCH, False, "yes or no", "When the server ends, end its running jobs too"),
    Setting("log_level", kinds.LEVEL, "warning", "level", "What the server says on standard error"),
    Setting("log_format", kinds.FORMAT, "text", "format", "How it says it: text, or json (one object a line)"),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """All settings, resolved; the same fields as the rows of SETTINGS. Paths are absolute or empty."""

    data: str
    host: str
    port: int
    account: str
    vcpus: int
    memory: int
    gpus: int
    access_key_file: str
    executor: str
    engine_socket: str
    container_network: str
    host_paths: tuple[str, ...]
    efs: tuple[str, ...]
    privileged: bool
    zip_from: tuple[str, ...]
    zip_max_mib: int
    zip_image: str
    process_path: str
    process_pass_env: tuple[str, ...]
    job_endpoints: tuple[str, ...]
    sts_url: str
    secrets_dir: str
    secrets_env: str
    secretsmanager_url: str
    ssm_url: str
    instance_boot_s: int
    instance_idle_s: int
    blocked_after_s: int
    blocked_without_room_after_s: int
    passing: bool
    spot_warning_s: int
    spot_interruptions_per_day: int
    stop_grace_s: int
    work_keep_hours: int
    log_max_mib: int
    jobs_keep_days: int
    jobs_keep_most: int
    disk_reserve_mib: int
    metrics_file: str
    event_file: str
    event_webhooks: tuple[str, ...]
    eventbridge_url: str
    eventbridge_bus: str
    eventbridge_source: str
    on_event: str
    on_event_timeout_s: int
    quit_runner: bool
    log_level: str
    log_format: str
    secrets_in: str = ""  # the settings file, if a secret was read from it: jobs must not see it

    @property
    def data_path(self) -> Path:
        return Path(self.data)

    @property
    def hidden(self) -> list[str]:
        """Files and directories with keys and secrets in them, outside the data directory: jobs must not see them."""
        return [path for path in (self.access_key_file, self.secrets_in, self.secrets_dir) if path]

    def dump(self) -> str:
        """For another process of the server; ``restore`` reads it."""
        return json.dumps(asdict(self))


def restore(dumped: str) -> Settings:
    """The settings that another process dumped."""
    given = json.loads(dumped)
    return Settings(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


class Resolved(NamedTuple):
    """Settings, and where each one's value came from: `default`, a flag, a variable, or the path of a file."""

    settings: Settings
    origins: dict[str, str]
    file: Path | None  # the TOML file that was read


def default_data(environ: Mapping[str, str]) -> str:
    """The data directory when none is set."""
    if os.geteuid() == 0:
        return "/var/lib/batchyard"
    base = environ.get("XDG_DATA_HOME") or os.path.join(_home(environ), ".local/share")
    return os.path.join(base, "batchyard")


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, config: str | None = None
) -> Settings:
    """Resolve the settings; flags whose value is None were not given. Raises SettingError."""
    return resolve(flags, environ, config).settings


def resolve(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, config: str | None = None
) -> Resolved:
    """The same, and where each value came from."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    origins = dict.fromkeys(values, "default")
    file = _toml_path(environ, config)

    def take(setting: Setting, given: Any, source: str, origin: str, directory: Path = Path()) -> None:
        values[setting.name] = _value(setting, given, source, directory)
        origins[setting.name] = origin

    for name, given in _from_toml(file).items():
        take(_known(name, str(file)), _Written(given), str(file), str(file), file.parent)
    for setting in SETTINGS:
        if text := environ.get(setting.variable):
            take(setting, text, "environment", setting.variable)
    for name, given in (flags or {}).items():
        if given is not None:
            setting = _known(name, "flags")
            take(setting, given if isinstance(given, str) else _Written(given), "flags", setting.flag)
    if not values["data"]:
        values["data"], origins["data"] = os.path.abspath(default_data(environ)), "default"
    secret = any(setting.secret and origins[setting.name] == str(file) for setting in SETTINGS)
    return Resolved(Settings(**values, secrets_in=str(file) if secret else ""), origins, file)


def strangers(environ: Mapping[str, str]) -> list[str]:
    """Variables of our prefix that mean nothing: a setting's name may have been mistyped."""
    known = OTHER_VARIABLES | {setting.variable for setting in SETTINGS}
    return sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in known)


def nearest(name: str) -> str:
    """The known setting whose name is most like `name`, in words; nothing if none is."""
    plain = name.lower().replace("-", "_").removeprefix(ENV_PREFIX.lower())
    found = difflib.get_close_matches(plain, _BY_NAME, 1)
    return f"did you mean {found[0]}?" if found else ""


def _known(name: str, source: str) -> Setting:
    setting = _BY_NAME.get(name)
    if setting is None:
        step = nearest(name) or f"known are {', '.join(sorted(_BY_NAME))}"
        raise SettingError(f"{source}: there is no setting {name!r}; {step}")
    return setting


class _Written(NamedTuple):
    """A value that already has a type, as in a file."""

    value: Any


_SWITCHES = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_TOML_WORDS = {
    int: "must be a whole number, without quotes",
    bool: "must be true or false, without quotes",
    list: 'must be a list, such as ["A", "B"]',
    str: 'must be text in quotes, such as "x"',
}


def _value(setting: Setting, given: str | _Written, source: str, directory: Path) -> Any:
    """The value to use, checked; a path is taken from `directory`."""
    try:
        value = _typed(setting.kind, given) if isinstance(given, str) else given.value
        if type(value) is not setting.kind.toml:
            raise ValueError(_TOML_WORDS[setting.kind.toml])
        value = setting.kind.check(value)
    except ValueError as error:
        shown = given if isinstance(given, str) else given.value
        shown = "(its value is not shown)" if setting.secret else f"= {shown!r}"
        raise SettingError(f"{source}: {setting.name} {shown} {error}") from None
    if setting.kind is kinds.PATH and value:
        return os.path.abspath(directory / os.path.expanduser(value))
    return value


def _typed(kind: Kind, text: str) -> Any:
    """What a flag or variable says, in the type that the setting has in a file."""
    if kind.toml is int:
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
            raise ValueError("must be a whole number")
        return int(text)
    if kind.toml is bool:
        if text.strip().lower() not in _SWITCHES:
            raise ValueError("must be yes or no")
        return _SWITCHES[text.strip().lower()]
    return [part.strip() for part in text.split(",")] if kind.toml is list else text


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def _toml_path(environ: Mapping[str, str], config: str | None) -> Path | None:
    """Absolute, so that it means the same wherever it is shown."""
    if config:
        return Path(os.path.abspath(config))
    for path in (Path("batchyard.toml"), Path(_home(environ)) / ".config/batchyard/config.toml"):
        try:
            if path.is_file():
                return Path(os.path.abspath(path))
        except OSError as error:
            raise SettingError(f"{path}: {error.strerror}") from None
    return None


def _from_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{path}: it must be text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: it is not TOML: {error}") from None
