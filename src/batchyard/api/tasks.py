"""What tasks ask of this server while they run, below ``/x/tasks/ATTEMPT/``: not signed, but with a token of their own.

ROUTES lists them; the reference page is made from it. Each door has another token (``model/tasktokens.py``), good as
long as the attempt is STARTING or RUNNING. Neither paths with tokens nor answers are ever logged.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from batchyard.api.context import Context
from batchyard.describe import task_metadata
from batchyard.describe.arns import Arns
from batchyard.errors import ClientError, Forbidden, NotSigned, UnknownOperation
from batchyard.model import ids, tasktokens, zip_images
from batchyard.model.jobs import Work, kept_as, role_of, work_of
from batchyard.model.tasktokens import CREDENTIALS, METADATA, START
from batchyard.ports import AttemptRow, JobRow
from batchyard.ports.grants import NotGranted

ROUTES = (  # path, who asks, how the token is shown, what is answered
    (
        "/x/tasks/ATTEMPT/start",
        "what starts the task",
        "`Authorization: Bearer TOKEN`",
        "Secrets, passwords of registries and where an application's archive is, by container; `error` is why the task "
        "cannot start. With `?process` only what a process needs.",
    ),
    (
        "/x/tasks/ATTEMPT/credentials",
        "AWS's SDKs in the job",
        "`Authorization: TOKEN`, as ECS has it",
        "Temporary credentials of the job's role, in ECS's form.",
    ),
    (
        "/x/tasks/ATTEMPT/v4/CONTAINER/TOKEN",
        "the job",
        "in the path: nobody sends a header",
        "The container, as ECS's metadata endpoint version 4 describes it; below it `/task` and `/taskWithTags`.",
    ),
)

UNABLE = "ResourceInitializationError: unable to pull secrets or registry auth: "

_PATH = re.compile(r"/x/tasks/([^/]{1,120})/(start|credentials|v4)(?:/([^/]{1,1024})/([^/]{1,128})((?:/[^/]*)*))?")
_STEP = "It has it in its environment, or its order, while it runs."


class Task(NamedTuple):
    """An attempt that is open."""

    job: JobRow
    attempt: AttemptRow
    name: str  # its id
    work: Work

    @property
    def role(self) -> str | None:
        return role_of(self.work.task or self.work.container)


def told(raw_path: str) -> str:
    """The path as it may be logged: without token."""
    found = _PATH.fullmatch(raw_path)
    return f"{tasktokens.PREFIX}{found[1]}/{found[2]}" if found else tasktokens.PREFIX


async def answer(
    context: Context, method: str, raw_path: str, query: str, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """The body of the answer, JSON. Raises ApiError: NotSigned and Forbidden for who may not ask."""
    found = _PATH.fullmatch(raw_path)
    if method != "GET" or found is None or (found[2] == METADATA) != (found[3] is not None):
        raise UnknownOperation(
            f"There is no such path below {tasktokens.PREFIX}.", "Tasks ask at those they are given."
        )
    named, door, container = unquote(found[1]), found[2], unquote(found[3] or "")
    _check(context.task_key, named, door, container, found[4] if door == METADATA else _shown(headers, door))
    task = _open_task(context, named)
    if door == START:
        in_containers = query != tasktokens.PROCESS
        return msgspec.json.encode(await context.beside.do(lambda: _needed(context, task, in_containers)))
    if door == CREDENTIALS:
        return msgspec.json.encode(await context.beside.do(lambda: _credentials(context, task)))
    return _metadata(context, task, container, found[5])


def _shown(headers: Sequence[tuple[bytes, bytes]], door: str) -> str:
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        raise NotSigned("The request shows no token, or several.", _STEP)
    return given[0].removeprefix("Bearer ") if door == START else given[0]


def _check(key: bytes, attempt: str, door: str, container: str, shown: str) -> None:
    """Raises Forbidden for another token than that of this door."""
    right = tasktokens.token(key, door, attempt, container)
    if not hmac.compare_digest(shown.encode("utf-8", "replace"), right.encode()):
        raise Forbidden("The token is not that of this task.", _STEP)


def _open_task(context: Context, named: str) -> Task:
    """Raises Forbidden once it has ended: then its tokens are good no more."""
    attempt = ids.parse_attempt_id(named)
    region = context.reader.region_of(attempt.uuid) if attempt is not None else None
    row = context.reader.job(region, attempt.uuid, attempt.index) if attempt is not None and region else None
    if row is not None and attempt is not None:
        for each in context.reader.attempts(row.seq, kept_as(row.nodes, row.index)):
            if each.number == attempt.number and each.stopped_ms is None:
                return Task(row, each, named, work_of(row.body, row.nodes, row.index))
    raise Forbidden(f"Attempt {named} is not running.", "Its tokens are good while it does.")


def _needed(context: Context, task: Task, in_containers: bool) -> dict[str, Any]:
    """All that the slot must have before it starts; `error` tells why the task cannot start. It may take seconds."""
    needed: dict[str, Any] = {"secrets": {}, "auth": {}, "log": {}, "zip": {}, "error": None}
    try:
        for name, container in task.work.containers:
            for kind, value in _of_container(context, task, container, in_containers).items():
                needed[kind][name] = value
    except NotGranted as error:
        return {"secrets": {}, "auth": {}, "log": {}, "zip": {}, "error": f"{UNABLE}{error}"}
    return needed


def _of_container(context: Context, task: Task, container: Mapping[str, Any], in_containers: bool) -> dict[str, Any]:
    grants, region, found = context.grants, task.job.region, {}
    if container.get("secrets"):
        found["secrets"] = _values(context, container["secrets"], region)
    options = (container.get("logConfiguration") or {}).get("secretOptions")
    if options and in_containers:
        found["log"] = _values(context, options, region)
    registry = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
    if registry and in_containers:
        found["auth"] = grants.registry(registry, region)
    if address := zip_images.address_of(container.get("image") or ""):
        fetched = grants.download(address, task.role, ids.task_id(task.name), region)
        found["zip"] = {"url": fetched.url, "headers": dict(fetched.headers)}
    return found


def _values(context: Context, entries: Sequence[Mapping[str, str]], region: str) -> dict[str, str]:
    """The value of each entry by the name of its variable or option."""
    values = {}
    for entry in entries:
        try:
            values[entry["name"]] = context.grants.secret(entry["valueFrom"], region)
        except NotGranted as error:
            raise NotGranted(f"{entry['name']}: {error}") from None
    return values


def _credentials(context: Context, task: Task) -> dict[str, str]:
    """As ECS words them. SDKs ask again before they expire."""
    if task.role is None:
        raise ClientError(f"Job {task.name} has no role.", "Give one in jobRoleArn or taskRoleArn.")
    arns = Arns(context.settings.account, task.job.region)
    role = arns.role(task.role)
    try:
        given = context.grants.credentials(role, ids.task_id(task.name), task.job.region)
    except NotGranted as error:
        raise ClientError(f"There are no credentials: {error}.", "Ask again when that is put right.") from None
    return {
        "RoleArn": role,
        "AccessKeyId": given.key_id,
        "SecretAccessKey": given.secret,
        "Token": given.token,
        "Expiration": given.expires,
    }


def _metadata(context: Context, task: Task, container: str, below: str) -> bytes:
    """Of the container, or of all its task (`/task`, and `/taskWithTags` with those that propagateTags gave it)."""
    arns = Arns(context.settings.account, task.job.region)
    shown = task_metadata.Shown(arns, context.names, task.job, task.attempt, task.name, task.work)
    if container not in dict(task.work.containers):
        raise ClientError(f"The task has no container {container[:100]}.", "Ask for one of those it has.")
    below = below.rstrip("/")
    if below == "":
        return msgspec.json.encode(task_metadata.container(shown, container))
    if below == "/task":
        return msgspec.json.encode(task_metadata.task(shown))
    if below == "/taskWithTags":
        return msgspec.json.encode(task_metadata.task_with_tags(shown))
    if below in ("/stats", "/task/stats"):
        raise UnknownOperation(
            "What a running task uses is not told here.",
            "Its peak memory and CPU time are told when it has ended: GET /x/jobs/ID, or `batchyard jobs ID`.",
        )
    raise UnknownOperation(f"There is no metadata {below[:100]}.", "There are /task and /taskWithTags.")
