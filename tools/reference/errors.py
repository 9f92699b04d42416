"""Every error that a caller can be answered with, read off the code, and the reasons that jobs fail for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import batchyard
from batchyard import errors
from batchyard.executors import contract
from batchyard.scheduler import lifecycle
from batchyard.wire import json11, rest_json, validate
from batchyard.wire.shapes import OPERATIONS
from reference import aws_texts, text

PACKAGE = Path(batchyard.__file__).parent
ROOMS = ("access", "admission", "api", "describe", "store", "wire")  # those that answer calls

REASONS = (
    ("status reason", contract.EXITED, "An attempt that simply ended, well or badly: look at its exit code."),
    ("status reason", contract.TIMED_OUT, "It ran into its timeout. It is not tried again."),
    ("status reason", contract.NOT_STARTED, "It could not be started; the container's reason says why."),
    ("status reason", "Host EC2 (instance ID) terminated.", "The attempt was lost with its host, or its slot."),
    ("status reason", lifecycle.DEPENDENCY_FAILED, "What it waited for failed. It never ran."),
    ("status reason", lifecycle.CHILD_FAILED, "Of an array: one of its children failed."),
    ("status reason", "any other", "The reason that was given when it was cancelled or terminated."),
    ("container reason", contract.OUT_OF_MEMORY, "It used more memory than it asked for. The exit code is 137."),
    ("container reason", "CannotStartContainerError: ...", "What kept it from being started."),
    ("container reason", "CannotPullContainerError: ...", "Its image or zipped application is not to be had."),
    (
        "container reason",
        "ResourceInitializationError: unable to pull secrets or registry auth: ...",
        "A secret is not to be had: which, and where it was looked for.",
    ),
)


SAMPLES = (  # operation, body, what is wrong
    ("SubmitJob", '{"jobName": ', "it is no JSON"),
    ("SubmitJob", '{"jobName": 7}', "another type"),
    ("SubmitJob", '{"containerOverrides": {"environment": [{"name": []}]}}', "the same, further in"),
    ("SubmitJob", '{"arrayProperties": {"size": 99999999999}}', "a number that is too large"),
    ("SubmitJob", '{"jobName": "j", "jobDefinition": "d"}', "a member is missing"),
    (
        "SubmitJob",
        '{"jobName": "j", "jobQueue": "q", "jobDefinition": "d", "tags": {"k": "%s"}}' % ("v" * 257),
        "text that is too long",
    ),
    ("CreateJobQueue", '{"jobQueueName": "q", "priority": 1, "state": "ON"}', "no value of the enumeration"),
    ("GetLogEvents", '{"logGroupName": "g", "logStreamName": "s", "limit": 0}', "out of range, Logs"),
    ("GetLogEvents", '{"logGroupName": "a b", "logStreamName": "s"}', "no match of the pattern, Logs"),
    ("GetLogEvents", '{"logGroupName": "g"}', "a member is missing, Logs"),
)


class Said(NamedTuple):
    """One place where an error is made."""

    file: str  # within the package
    line: int
    error: str  # name of the class
    message: str  # with {expression} where a value stands
    step: str


def page() -> str:
    found = list(all_said())
    classes = {each.__name__: each for each in _kinds()}
    rows = [
        (text.code(kind.code), str(kind.status), text.code(name), _first_line(kind)) for name, kind in classes.items()
    ]
    parts = [
        """The error's code stands in the header `x-amzn-errortype` and its text in `message`, as AWS's clients expect
it. A text that is AWS's own is AWS's to the letter, since clients match it; all others end with the next step. What
stands in `{}` is put in: a value of the request, mostly.""",
        "## Codes",
        text.table(("code", "HTTP", "class", "meaning"), rows),
        "## Why a job failed",
        "These are no answers to calls but what is told of a job. Clients and retry rules match them.",
        text.table(("where", "text", "meaning"), ((where, text.code(said), means) for where, said, means in REASONS)),
        "## Texts",
        "All of them, by the file that says them.",
        "### Any member of any operation",
        "What AWS's model says of a member is checked for every operation, and so is the form of the body. Examples:",
        text.table(("request", "what is wrong with it", "text"), map(_shown, SAMPLES)),
    ]
    for file in sorted({each.file for each in found}):
        listed = {(each.error, each.message, each.step): None for each in found if each.file == file}
        title = f"### [{file}](../../src/batchyard/{file})"
        shown = [
            (text.code(classes[name].code), _said(message), _next(message, step)) for name, message, step in listed
        ]
        parts += [title, text.table(("code", "text", "next step"), shown)]
    known = [(text.code(name), said) for name, said in validate.KNOWN_TEXTS.items()]
    parts += ["### Enumerations with a text of their own", text.table(("shape", "text"), known)]
    return text.page("Errors", *parts)


def all_said() -> Iterator[Said]:
    """Every error that is made with a text of its own, in the order of files and lines."""
    names = {each.__name__ for each in _kinds()}
    for path in sorted(each for room in ROOMS for each in (PACKAGE / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        constants = dict(_constants(tree))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        for call in sorted(calls, key=lambda each: each.lineno):
            if call.func.id in names and call.args:
                words = [_words(each, constants) or f"{{{_short(each)}}}" for each in call.args[:2]]
                file = str(path.relative_to(PACKAGE))
                yield Said(file, call.lineno, call.func.id, words[0], words[1] if len(words) > 1 else "")


def _kinds() -> list[type[errors.ApiError]]:
    """The classes of errors.py that callers can meet."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.ApiError)]
    return [each for each in found if each is not errors.ApiError]


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names of a module's own constants, with what they are."""
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(target, ast.Tuple) else [node.value]
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value


def _words(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """The text of a literal, with {expression} where something is put in; "" if it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(each, constants) for each in node.values)
    if isinstance(node, ast.FormattedValue):
        known = constants.get(ast.unparse(node.value))
        return str(known.value) if isinstance(known, ast.Constant) else "{" + _short(node.value) + "}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left, constants) + _words(node.right, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return _words(constants[node.id], {})
    return ""


def _short(value: ast.expr) -> str:
    """A name for what is put in."""
    if isinstance(value, ast.Name):
        return value.id
    if isinstance(value, ast.Attribute):
        return value.attr
    return _short(value.value) if isinstance(value, ast.Subscript) else "..."


def _said(words: str) -> str:
    """As text of a table, where < and * would be markup."""
    return words.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _shown(sample: tuple[str, str, str]) -> tuple[str, str, str]:
    """A row: the request, what is wrong, and what the server really says to it."""
    operation, body, wrong = sample
    body = body if len(body) < 90 else body[:80] + " ..."
    return f"{operation} {text.code(body)}", wrong, _said(answered(*sample[:2]))


def answered(operation: str, body: str) -> str:
    """The text that a wrong request is answered with before anybody looks at what it means."""
    try:
        if OPERATIONS[operation].service == "logs":
            request = json11.decode(operation, body.encode())
        else:
            request = rest_json.decode(operation, body.encode(), {}, "")
        validate.check(operation, request)
    except errors.ApiError as error:
        return error.message
    raise ValueError(f"{operation} takes {body}")


def _next(message: str, step: str) -> str:
    """The next step, or whose text it is that has none."""
    about = aws_texts.topic(message)
    return _said(step) if step or about is None else f"(AWS's own text, {about})"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
