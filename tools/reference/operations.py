"""Which operations are answered, and what becomes of each member of their requests."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from batchyard.api import app
from batchyard.wire import shapes
from reference import text, trials

SERVICES = {"batch": "AWS Batch", "logs": "CloudWatch Logs", "sts": "STS"}

HOW = """## How this page is made

By `make docs`, from the code. Members of the operations that create and submit are tried out: each is put into an
otherwise minimal request, which goes through validation and admission as a real one does, and the word says what came
of it. Of the other operations the code is read, and all that is said is whether the handler looks at the member. The
request's types are AWS's: a member that is missing here does not exist in AWS's model either.

- **honoured**: it changes what is run, or what is answered.
- **noticed**: it is kept and given back and has no effect, and each job says so in its `notices`
  (`batchyard jobs ID`). The sentence is the one that the sample of the trial led to.
- **kept**: it is kept and given back as on AWS, and nothing else follows from it.
- **refused**: the request fails with the text shown.
- **read**: the handler looks at it (not tried out).
- **ignored**: nothing looks at it."""

# What a trial of one member alone cannot show.
REMARKS = {
    "CreateComputeEnvironment.tags": "`batchyard:provider`=`pretend` makes one that only pretends to run jobs.",
    "CreateComputeEnvironment.computeResources": "`maxvCpus` is the size of a pretend environment.",
    "RegisterJobDefinition.propagateTags": "See SubmitJob.",
    "SubmitJob.propagateTags": "The task's tags, as they are at submission, are `taskTags` of `GET /x/jobs/ID` and of "
    "`batchyard jobs ID`; a job does not see them. With more than 50 it fails when it is to start, and is not retried.",
    "CreateComputeEnvironment.unmanagedvCpus": "The size of a pretend environment, without computeResources.",
}


def page() -> str:
    built = {name: operate for each in app._OPERATIONS.values() for name, operate in each.items()}
    parts = [
        "An operation that is not yet supported is refused by name with a `ClientException`; nothing is left half done."
    ]
    for service, title in SERVICES.items():
        names = [name for name, each in sorted(shapes.OPERATIONS.items()) if each.service == service]
        done = [name for name in names if name in built]
        rows = [(f"[{name}](#{name.lower()})", "supported") if name in built else (name, "not yet") for name in names]
        parts += [f"## {title}: {len(done)} of {len(names)}", text.table(("operation", ""), rows)]
    parts.append(HOW)
    for name in sorted(built):
        rows = [
            ("&nbsp;&nbsp;" * (len(path) - 1) + text.code(".".join(path)), *fate(name, built[name], path))
            for path in trials.members(name)
        ]
        parts += [f"## {name}", text.table(("member", "", ""), rows) if rows else "It has no members."]
    return text.page("Operations", *parts)


def fate(operation: str, operate: Callable, path: tuple[str, ...]) -> tuple[str, str]:
    """One word, and a sentence where there is one to say."""
    is_read = path[0] in read_members(operate, shapes.OPERATIONS[operation].request)
    if operation not in trials.TRIALS:
        return ("read" if is_read else "ignored"), ""
    found = trials.tried(operation, path)
    refusals = " ".join(f"{text.code(value)}: {said}" if value else said for value, said in found.refused.items())
    remark = REMARKS.get(".".join((operation, *path)), "")
    if not found.is_ever_taken:
        return "refused", refusals
    if found.has_effect or (found.refused and is_read):
        told = " ".join(each for each in found.notices if each not in remark)
        return "honoured", " ".join(each for each in (f"Refused: {refusals}" if refusals else remark, told) if each)
    if found.notices:
        return "noticed", " ".join(found.notices)
    if found.is_stored:
        return "kept", remark
    return ("honoured" if is_read else "ignored"), remark


# -- reading the code of handlers ------------------------------------------------------------------------------------


def read_members(operate: Callable, request: type) -> frozenset[str]:
    """Names of the request's members that the handler, or a function it hands the request to, looks at."""
    names = frozenset(trials.fields(request))
    return names & _looked_at(operate, "request", frozenset())


@cache
def _looked_at(function: FunctionType, parameter: str, above: frozenset[FunctionType]) -> frozenset[str]:
    """Attributes of `parameter` that the function reads, by name or by a text that names them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is(node.value, parameter):
            found.add(node.attr)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id == "getattr" and _is(node.args[0], parameter):
                found |= _texts(function, tree)
            found |= _handed_on(function, node, parameter, above)
    return frozenset(found)


def _is(node: ast.AST, parameter: str) -> bool:
    return isinstance(node, ast.Name) and node.id == parameter


def _texts(function: FunctionType, tree: ast.AST) -> set[str]:
    """Texts in the function and in the tables of its module that it names."""
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found |= set(_flat(function.__globals__.get(node.id)))
    return found


def _flat(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple | list | frozenset | dict):
        return [each for part in value for each in _flat(part)]
    return []


def _handed_on(
    function: FunctionType, call: ast.Call, parameter: str, above: frozenset[FunctionType]
) -> frozenset[str]:
    """What a function that is called with the parameter reads of it."""
    read: set[str] = set()
    for called in _called(function, call.func):
        if called in above:
            continue
        names = list(inspect.signature(called).parameters)
        given = [names[place] for place, each in enumerate(call.args) if _is(each, parameter) and place < len(names)]
        given += [each.arg for each in call.keywords if each.arg and _is(each.value, parameter)]
        read = read.union(*(_looked_at(called, name, above | {function}) for name in given))
    return frozenset(read)


def _called(function: FunctionType, node: ast.expr) -> list[FunctionType]:
    """The functions of this package that an expression may mean: `name`, `module.name`, or, where a variable holds the
    function, any that the calling one names."""
    known = function.__globals__
    if isinstance(node, ast.Name) and node.id in known:
        found = [known[node.id]]
    elif isinstance(node, ast.Name):
        found = [known.get(name) for name in function.__code__.co_names]
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found = [getattr(known.get(node.value.id), node.attr, None)]
    else:
        found = []
    return [each for each in found if isinstance(each, FunctionType) and each.__module__.startswith("batchyard.")]
