"""Style that matters is a test. Each rule has a sentence that explains it; extend the tables, loosen nothing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "batchyard"
GENERATED = {PACKAGE / "wire" / "shapes.py"}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path not in GENERATED)
FUNCTION_LINES = 70
FILE_LINES = 500

# Who may import whom (ARCHITECTURE.md, "Rooms"). A room may always import itself. A trailing dot-name narrows.
MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "errors": set(),
    "ports": {"model", "errors"},
    "config": {"model", "errors"},
    "loglines": set(),
    "wire": {"errors"},
    "catalogue": {"model", "errors"},
    "doctor": set(),
    "describe": {"model", "ports", "errors", "wire.shapes"},
    "scheduler": {"model"},
    "admission": {"model", "errors", "wire.shapes", "ports"},
    "access": {"model", "ports", "config", "errors"},
    "grants": {"model", "ports", "config", "errors", "access.sigv4"},
    "store": {"model", "ports", "config", "errors"},
    "executors": {"model", "ports", "config", "errors", "loglines"},
    "observe": {"model", "ports", "config", "errors", "describe"},
    "engine": {"scheduler", "model", "ports", "config"},
    "api": {"model", "ports", "wire", "access", "admission", "describe", "doctor", "config", "errors", "loglines"},
    "relief": set(),
    "cli": {"config", "errors", "loglines", "doctor", "access.sigv4", "access.keys", "wire.shapes"},
    "server": {"*"},
    "__main__": {"cli"},
    "__init__": set(),
}
MAY_ALSO: dict[str, set[str]] = {
    "cli/admin.py": {"store.restore", "store.audit"},
    "cli/serve.py": {"server"},
    "cli/demo.py": {"relief.folder"},
}

# In rooms that decide, time, ids and chance arrive on the events; the substitute is named.
BANNED_IN_DECIDERS = {
    r"\btime\.(time|monotonic|time_ns)\(": "take the time from the event or from turn(now_ms)",
    r"\bdatetime\.(now|utcnow)\(": "take the time from the event or from turn(now_ms)",
    r"\buuid\.?uuid\d?\(|\buuid4\(": "ids are minted in api and arrive on the event",
    r"\brandom\.|\bsecrets\.": "chance arrives on the event",
    r"\blogging\b|\bprint\(": "a decider says what it did by its facts",
    r"(?<![\w.])\d+\.\d+(?![\w.])|\bfloat\(": "integers for time and resources",
}
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "service", "structs"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names below `batchyard` that the file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("batchyard.") for name in found if name.startswith("batchyard.")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_what_they_may(path):
    room = room_of(path)
    allowed = MAY_IMPORT[room] | MAY_ALSO.get(str(path.relative_to(PACKAGE)), set()) | {room}
    for name in imports_of(path):
        fits = "*" in allowed or any(name == may or name.startswith(may + ".") for may in allowed)
        assert fits or name == "__version__", (
            f"{path.relative_to(ROOT)} imports {name}; {room} may import {sorted(allowed)}"
        )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_fit_on_a_screen_and_files_have_one_reason(path):
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES, f"{path.relative_to(ROOT)}: more than {FILE_LINES} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_deciders_take_time_ids_and_chance_from_outside(path):
    if room_of(path) not in ("scheduler", "model", "admission"):
        return
    code = "\n".join(_code_lines(path))
    for pattern, substitute in BANNED_IN_DECIDERS.items():
        found = re.search(pattern, code)
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]!r}; {substitute}"


def _code_lines(path: Path) -> list[str]:
    """Lines without strings and comments, roughly: constants are blanked by the parser's positions."""
    lines = path.read_text().splitlines()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                start = node.col_offset if number == node.lineno - 1 else 0
                end = node.end_col_offset if number == (node.end_lineno or 0) - 1 else len(lines[number])
                lines[number] = lines[number][:start] + " " * ((end or 0) - start) + lines[number][end:]
    return [line.split("#")[0] for line in lines]


def test_no_file_is_an_orphan():
    """Every module is imported by another one, or is an entry point: code that nobody calls is removed."""
    entries = {"__main__", "__init__", "server.__main__", "executors.runner.__main__", "cli.main", "relief.__main__"}
    imported: set[str] = set()
    for path in SOURCES:
        for name in imports_of(path):
            parts = name.split(".")
            imported |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    lazily = "\n".join(path.read_text() for path in (PACKAGE / "cli").glob("*.py"))
    for path in SOURCES:
        dotted = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if dotted in entries or path.name == "__init__.py" or f"batchyard.{dotted}" in lazily:
            continue
        if dotted.startswith("scheduler.invariants"):
            continue  # called by the harness after every step
        assert dotted in imported or path.stem in lazily, f"{path.relative_to(ROOT)} is imported by nobody"


def test_names_say_what_a_file_is_for():
    for path in SOURCES:
        assert path.stem not in BANNED_NAMES, f"{path.relative_to(ROOT)}: a name that is no reason"


def test_every_room_says_what_it_is_for():
    for path in sorted(PACKAGE.rglob("__init__.py")):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


def test_every_file_says_what_it_is_for():
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


def test_generated_pages_are_what_the_code_says_today():
    checked = subprocess.run(
        [sys.executable, ROOT / "tools/generate_docs.py", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_nothing_speaks_of_the_place_where_it_was_made():
    """The project speaks of itself alone: no paths of anybody's home."""
    pattern = re.compile(r"(?<![\w/])/(home|Users)/[A-Za-z]")
    for path in [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.py")]:
        if path != Path(__file__).resolve():
            assert not pattern.search(path.read_text()), f"{path.relative_to(ROOT)} names a place outside the project"
