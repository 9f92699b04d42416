"""What pages may name: commands and their options, make targets, variables, files and headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click

from batchyard import config
from batchyard.cli.main import cli
from tests.docs.pages import ROOT, Page

PACKAGE = ROOT / "src" / "batchyard"
# Titles of processes in `ps`, which read like commands.
PROCESSES = frozenset({"api", "engine", "observe", "runner", "slot"})
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Page) -> list[str]:
    """Targets of all links to files of this repository."""
    found = [one or other for one, other in _LINK.findall(page.prose)]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def broken(page: Page, target: str) -> str | None:
    """What is wrong with a link of the page; None if it leads somewhere."""
    path, _, anchor = target.partition("#")
    there = (page.path.parent / path).resolve() if path else page.path
    if not there.exists():
        return f"{page.name} links to {target}, which does not exist"
    if anchor and (there.suffix != ".md" or anchor not in anchors(there)):
        return f"{page.name} links to {target}, but {there.name} has no such heading"
    return None


def misnamed(page: Page) -> list[str]:
    """Links to Python files whose text names something that the file does not define."""
    wrong = []
    for words, target in re.findall(r"\[`([\w.]+)`\]\(([^)\s]+\.py)\)", page.prose):
        name = words.rpartition(".")[2]
        there = page.path.parent / target
        if words.endswith(".py") or not there.exists():
            wrong += [] if there.name == words else [f"{words} is not {there.name}"]
        elif not re.search(rf"^\s*(?:(?:async )?def|class) {name}\b|^{name}\b[^=\n]*=", there.read_text(), re.M):
            wrong.append(f"{words} is not in {there.name}")
    return wrong


def anchors(path: Path) -> set[str]:
    """The anchors that headings get where pages are shown (GitHub's way)."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", path.read_text(), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def code_of(page: Page) -> list[str]:
    """All that is set as code on the page: inline, and the lines of typed blocks."""
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.prose)
    return inline + [line for block in page.blocks if block.language == "sh" for line in block.text.splitlines()]


def unknown_words(page: Page) -> list[str]:
    """Commands, options, make targets and variables that the page names and that do not exist."""
    wrong = []
    for code in code_of(page):
        code = code.split(" # ")[0]
        for arguments in re.findall(
            r"(?:^|[;|&(\"'])\s*(?:sudo )?(?:[\w.~/]*/)?batchyard ((?:[^\s|;&)`]|(?<=\S) )+)", code
        ):
            wrong += unknown_options(arguments.split())
        if made := re.match(r"\s*(?:make) ([a-z][a-z-]*)\b", code):
            wrong += [] if made[1] in make_targets() else [f"make {made[1]}"]
    for name in set(re.findall(r"\b(?:BATCHYARD_[A-Z][A-Z_]*[A-Z]|batchyard_[a-z_]*[a-z])\b", page.text)):
        wrong += [] if known_variable(name) else [name]
    for code in re.findall(r"(?<!`)`([a-z]+(?:_[a-z0-9]+)+)`(?!`)", page.prose):  # settings, members, functions
        wrong += [] if known_variable(code) else [code]
    return wrong


def unknown_options(words: list[str]) -> list[str]:
    """Of `batchyard WORDS`: a command or an option that there is not; what follows `--` is a job's own."""
    command: click.Command = cli
    context = click.Context(cli, info_name="batchyard")
    said = "batchyard"
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and len(word) > 1:
            if word.split("=")[0] not in _options(command, context):
                return [f"{said} {word}"]
        elif isinstance(command, click.Group):
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                break  # a placeholder such as COMMAND
            found = command.get_command(context, word)
            if found is None and words == [word] and word in PROCESSES:
                break
            if found is None:
                return [f"{said} {word}"]
            command, said = found, f"{said} {word}"
    return []


def _options(command: click.Command, context: click.Context) -> set[str]:
    own = click.Context(command, parent=context, info_name=command.name)
    named = {name for each in command.get_params(own) for name in (*each.opts, *each.secondary_opts)}
    return named | {"-h", "--help"}


@cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))


@cache
def known_variable(name: str) -> bool:
    """Settings and their variables, and whatever stands in the package as it is."""
    if name in {each for setting in config.SETTINGS for each in (setting.name, setting.variable)}:
        return True
    name = re.sub("_(bucket|sum|count)$", "", name)  # a sample of a histogram
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.sql"), ROOT / "pyproject.toml"]
    return any(re.search(rf"\b{name}\b", path.read_text()) for path in sources)
