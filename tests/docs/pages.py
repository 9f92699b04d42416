"""Pages of documentation as data: their fenced blocks and what HTML comments say of them.

CONTRIBUTING.md, "Docs", is the contract for those who write pages. A block's language says what becomes of it: `sh` is
typed, `output` is compared with what the block before it printed, `text` and `mermaid` are pictures, anything else must
be a file (`<!-- test: file NAME -->`), perhaps one of the repository (`<!-- test: same as PATH -->`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TOP = tuple(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"))
TYPED, SHOWN, PICTURES = "sh", "output", ("text", "mermaid")

_FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")
_DIRECTIVE = re.compile(r"<!--\s*test:\s*(.*?)\s*-->", re.S)
_PAGE_DIRECTIVE = re.compile(r"<!--\s*page:\s*(.*?)\s*-->", re.S)
_KINDS = (
    ("file", re.compile(r"file (\S+)")),
    ("same as", re.compile(r"same as (\S+)")),
    ("another terminal", re.compile(r"another terminal()")),
    ("fails with", re.compile(r"fails with (\d+)")),
    ("not run", re.compile(r"not run: (.+)", re.S)),
    ("run by", re.compile(r"run by (\S+)")),
)


class Malformed(Exception):
    """A page does not keep the rules; the message names the page, the line and what to write."""


class Directive(NamedTuple):
    kind: str  # of _KINDS, or "" if there is none
    value: str


@dataclass
class Block:
    page: str
    line: int  # of the opening fence
    language: str
    text: str
    directive: Directive

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_typed(self) -> bool:
        return self.language == TYPED and self.directive.kind in ("", "another terminal", "fails with")


@dataclass
class Page:
    path: Path
    text: str
    blocks: list[Block] = field(default_factory=list)
    is_long: bool = False
    read_by: str = ""  # the test that types it in the place of test_docs
    needs: list[tuple[str, str]] = field(default_factory=list)  # (program or path, Debian package)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def is_typed(self) -> bool:
        return any(block.is_typed for block in self.blocks)

    @property
    def prose(self) -> str:
        """The text without fenced blocks and comments, line for line."""
        kept, fence = [], ""
        for line in self.text.splitlines():
            found = _FENCE.match(line)
            if found and not fence:
                fence = found[2]
            elif found and found[2].startswith(fence) and not found[3].strip():
                fence, line = "", ""
            kept.append("" if fence or found else line)
        return re.sub(r"<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), "\n".join(kept), flags=re.S)


def all_pages() -> list[Page]:
    """README and the other pages beside it, then all of docs/, then what explains a folder in the folder itself."""
    folders = [path for name in ("deploy", "examples", "src", "tests") for path in (ROOT / name).rglob("*.md")]
    return [read(path) for path in (*TOP, *sorted(DOCS.rglob("*.md")), *sorted(folders))]


def read(path: Path) -> Page:
    """The page at `path`. Raises Malformed."""
    page = Page(path, path.read_text())
    lines = page.text.splitlines()
    number, said = 0, ""  # what stands between the last block and here
    while number < len(lines):
        found = _FENCE.match(lines[number])
        if found is None:
            said += lines[number] + "\n"
            number += 1
            continue
        end = _end_of_fence(page, lines, number, found[2])
        margin = len(found[1])
        text = "".join(
            line[min(margin, len(line) - len(line.lstrip(" "))) :] + "\n" for line in lines[number + 1 : end]
        )
        where = f"{page.name}:{number + 1}"
        page.blocks.append(Block(page.name, number + 1, found[3].strip(), text, _directive(where, said)))
        number, said = end + 1, ""
    _page_directives(page)
    _check(page)
    return page


def _end_of_fence(page: Page, lines: list[str], start: int, fence: str) -> int:
    for number in range(start + 1, len(lines)):
        if lines[number].strip() == fence:
            return number
    raise Malformed(f"{page.name}:{start + 1}: this block has no end; write {fence} below it.")


def _directive(where: str, before: str) -> Directive:
    """The directive just above a block, if the last thing above it is one."""
    given = [match for match in _DIRECTIVE.finditer(before)]
    if not given:
        return Directive("", "")
    if len(given) > 1 or before[given[-1].end() :].strip():
        raise Malformed(f"{where}: one `<!-- test: ... -->` stands just above the block that it speaks of.")
    words = " ".join(given[0][1].split())
    for kind, form in _KINDS:
        if found := form.fullmatch(words):
            return Directive(kind, found[1])
    raise Malformed(f"{where}: there is no directive {words!r}; there are {', '.join(kind for kind, _ in _KINDS)}.")


def _page_directives(page: Page) -> None:
    for match in _PAGE_DIRECTIVE.finditer(re.split(r"^#", page.text, maxsplit=1, flags=re.M)[0]):
        words = " ".join(match[1].split())
        needs = re.fullmatch(r"needs (\S+): (\S+)", words)
        read_by = re.fullmatch(r"read by (\S+)", words)
        if words == "long":
            page.is_long = True
        elif read_by:
            page.read_by = read_by[1]
        elif needs:
            page.needs.append((needs[1], needs[2]))
        else:
            raise Malformed(
                f"{page.name}: there is no page directive {words!r}; there are long, read by and needs X: PACKAGE."
            )


def _check(page: Page) -> None:
    """Every block must be something that a test looks at, or a picture."""
    before: Block | None = None
    for block in page.blocks:
        kind = block.directive.kind
        if block.language == SHOWN:
            if before is None or before.language != TYPED:
                raise Malformed(f"{block.where}: an output block stands right after the block that prints it.")
        elif not block.language:
            raise Malformed(f"{block.where}: name the language: sh for what is typed, text for a picture.")
        elif kind == "file" and block.language == TYPED:
            pass  # a script that the reader writes
        elif kind in ("another terminal", "fails with", "run by") and block.language != TYPED:
            raise Malformed(f"{block.where}: `test: {kind}` is for sh blocks.")
        elif block.language not in (TYPED, *PICTURES) and kind not in ("file", "same as", "not run"):
            raise Malformed(f"{block.where}: say what becomes of it: <!-- test: file NAME --> or not run: REASON.")
        before = block
    if line := _indented_block(page.prose):
        raise Malformed(f"{page.name}: {line!r} is an indented block; write a fenced one with its language.")


def _indented_block(prose: str) -> str | None:
    """The first line of an indented block outside of lists; None if there is none."""
    in_list, after_blank = False, True
    for line in prose.splitlines():
        if line.strip() and not line.startswith(" "):
            in_list = re.match(r"([-*+]|\d+\.) ", line) is not None
        if line.startswith("    ") and line.strip() and after_blank and not in_list:
            return line.strip()
        after_blank = not line.strip()
    return None
