"""Where secrets lie: files of a directory, variables of the server, Secrets Manager and Systems Manager.

They are looked through in this order, and the first that has it is right; files and variables have present versions
only. AWS has none but the last two.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping

from batchyard.config import Settings
from batchyard.grants.calls import CallFailed, Service
from batchyard.grants.references import SECRET, Reference
from batchyard.model import endpoints
from batchyard.ports.grants import NotGranted

LONGEST = 1 << 16  # bytes of a secret, as in Secrets Manager

_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/\0]{1,255}")
_NOT_THERE = frozenset(("ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"))


class Sources:
    """`environ` is the server's environment; `own` is its URL, '' while it has none."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]):
        self._settings = settings
        self._environ = environ

    def find(self, wanted: Reference, own: str) -> str:
        """The text of the secret. Raises NotGranted, naming each place where it was looked for."""
        missed: list[str] = []
        for look in (self._in_files, self._in_variables):
            found = look(wanted, missed) if wanted.is_current else None
            if found is not None:
                return found
        found = self._at_service(wanted, own, missed)
        if found is None:
            raise NotGranted(f"{wanted.id} is {'; '.join(missed)}" if missed else self._nowhere(wanted))
        return found

    def _nowhere(self, wanted: Reference) -> str:
        url = "secretsmanager_url" if wanted.kind == SECRET else "ssm_url"
        versions = "" if wanted.is_current else ", which alone has older versions"
        places = (
            f"the setting {url}{versions}" if versions else f"one of the settings secrets_dir, secrets_env and {url}"
        )
        return f"{wanted.id} is looked for nowhere: give {places}"

    def _in_files(self, wanted: Reference, missed: list[str]) -> str | None:
        directory = self._settings.secrets_dir
        for name in wanted.names if directory else ():
            if not all(_SEGMENT.fullmatch(part) for part in name.split("/")):
                continue
            text = _read(os.path.join(directory, name))
            if text is not None:
                return text
        if directory:
            missed.append(f"not in the directory {directory}")
        return None

    def _in_variables(self, wanted: Reference, missed: list[str]) -> str | None:
        prefix = self._settings.secrets_env
        variables = [prefix + re.sub("[^A-Z0-9]", "_", name.upper()) for name in wanted.names] if prefix else []
        for variable in variables:
            if variable in self._environ:
                return self._environ[variable]
        if variables:
            missed.append(f"not in the server's variable {variables[0]}")
        return None

    def _at_service(self, wanted: Reference, own: str, missed: list[str]) -> str | None:
        is_secret = wanted.kind == SECRET
        given = self._settings.secretsmanager_url if is_secret else self._settings.ssm_url
        name = endpoints.SECRETS_MANAGER if is_secret else endpoints.SSM
        url = endpoints.of_service(name, given, self._environ, own)
        if url is None:
            return None
        scope = "secretsmanager" if is_secret else "ssm"
        service = Service(url.replace("{region}", wanted.region), scope, wanted.region, self._environ)
        try:
            return _secret(service, wanted) if is_secret else _parameter(service, wanted)
        except CallFailed as error:
            if error.code not in _NOT_THERE:
                raise NotGranted(f"{wanted.id}: {error}") from None
            missed.append(f"not at {service.place} ({error.code})")
            return None


def _secret(service: Service, wanted: Reference) -> str:
    members = {"SecretId": wanted.id}
    members |= {"VersionStage": wanted.stage} if wanted.stage else {}
    members |= {"VersionId": wanted.version} if wanted.version else {}
    text = service.json("secretsmanager.GetSecretValue", members).get("SecretString")
    if not isinstance(text, str):
        raise NotGranted(f"{wanted.id} at {service.place} holds no text (SecretString)")
    return text


def _parameter(service: Service, wanted: Reference) -> str:
    answer = service.json("AmazonSSM.GetParameter", {"Name": wanted.id, "WithDecryption": True})
    found = answer.get("Parameter")
    text = found.get("Value") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise NotGranted(f"{wanted.id} at {service.place} holds no text (Value)")
    return text


def member(text: str, wanted: Reference) -> str:
    """The member of a secret's JSON that is wanted, or all of it. Raises NotGranted."""
    if not wanted.key:
        return text
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict) or wanted.key not in members:
        raise NotGranted(f"{wanted.id} holds no JSON object with a member {wanted.key}")
    value = members[wanted.key]
    return value if isinstance(value, str) else json.dumps(value)


def _read(path: str) -> str | None:
    """What the file holds, less one end of line at its end; None if there is no such file. Raises NotGranted for one
    that others may read or that holds no secret's text."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NotGranted(f"{path}: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            return None
        if not stat.S_ISREG(about.st_mode):
            raise NotGranted(f"{path} is not a regular file")
        if about.st_mode & 0o077:
            raise NotGranted(f"others may read {path} (mode {stat.S_IMODE(about.st_mode):04o}): chmod 600 it")
        content = file.read(LONGEST + 3)
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise NotGranted(f"{path} holds no UTF-8 text") from None
    if len(content) > LONGEST + 2 or "\0" in text:
        raise NotGranted(f"{path} is longer than {LONGEST} bytes, or has a NUL in it")
    return text
