"""The reader of pages must notice a page that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs import names
from tests.docs.pages import Malformed, Page, read
from tests.docs.reader import Differs, Reader, agrees, pipe_beyond_9


@pytest.fixture
def page(tmp_path, monkeypatch):
    """page(TEXT) -> the page as read from a file."""
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)

    def made(text: str) -> Page:
        path = tmp_path / "page.md"
        path.write_text(text)
        return read(path)

    return made


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```\nls\n```", "name the language"),
        ("```sh\nls\n", "has no end"),
        ("```python\n1\n```", "say what becomes of it"),
        ("```output\n1\n```", "right after the block that prints it"),
        ("a\n\n    ls -l\n", "is an indented block"),
        ("<!-- test: sometimes -->\n```sh\nls\n```", "there is no directive 'sometimes'"),
        ("<!-- test: fails with 1 -->\nwords\n```sh\nls\n```", "stands just above the block"),
        ("<!-- page: short -->\n# A\n", "there is no page directive 'short'"),
    ],
)
def test_a_page_that_no_test_could_read_is_refused(page, text, wrong):
    with pytest.raises(Malformed, match=wrong):
        page(text)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("job 5d0c2b6f-9b51-4d0e-8a43-0f5cf3a3d2a7:3", "job 01234567-9b51-4d0e-8a43-0123456789ab:3"),
        ("ran 1.2 s, 27 ms", "ran 12 s, 3 ms"),
        ("at 2026-11-25 10:02:11 it", "at 2026-12-24 11:12:13 it"),
        ("first\n...\nlast", "first\nlast"),
        ("first\n...\nlast", "first\n2\n3\nlast"),
        ("a ... c", "a   b b c"),
        ("column  other", "column      other"),
    ],
)
def test_what_differs_from_run_to_run_is_no_difference(shown, said):
    assert agrees(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [("hello", "goodbye"), ("a\nb", "a"), ("a", "a\nb"), ("exit code 3", "exit code 4"), ("a ... c", "a b")],
)
def test_anything_else_is(shown, said):
    assert not agrees(shown, said)


def test_a_page_is_typed_into_one_shell_that_remembers(page):
    Reader(
        page(
            "# A\n<!-- test: file sub/note.txt -->\n```text\nhello\n```\n"
            "```sh\ncd sub\nsaid=$(cat note.txt)\n```\n```sh\necho $said; pwd\n```\n```output\nhello\n~/here/sub\n```\n"
            "<!-- test: fails with 3 -->\n```sh\n(exit $CODE)\n```\n```sh\ncmp given/page page.copy\n```\n"
            "```sh\nbatchyard jobs\n```\n```output\nNo jobs. Submit one: batchyard run -- echo hello\n```\n"
        ),
        variables={"CODE": "3"},
        files={"sub/given/page": Path(__file__), "sub/page.copy": Path(__file__)},
    ).read()


def test_a_page_that_starts_its_own_server_is_the_only_one_to_do_so(page):
    reader = Reader(
        page(
            "<!-- test: another terminal -->\n```sh\nbatchyard serve\n```\n"
            "```output\nBatchyard ... answers at http://127.0.0.1:22824; its data is in ~/...\n...\n```\n"
            "```sh\nbatchyard run -- echo hello\n```\n```output\nhello\n```\n"
        )
    )
    reader.read()
    assert not reader.home.exists()
    assert not reader.site.pids()


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("```sh\ntrue\nfalse\ntrue\n```", "page.md:1 ended with 1, not 0"),
        ("```sh\nfalse | cat\n```", "page.md:1 ended with 1, not 0"),
        ("```sh\necho 1\n```\n```output\n2\n```", "page.md:4 shows:\n2\n\nbut what came was:\n1"),
        ("<!-- test: fails with 2 -->\n```sh\ntrue\n```", "page.md:2 ended with 0, not 2"),
        ("<!-- test: another terminal -->\n```sh\nnonesuch\n```", "page.md:2: in its terminal it ended with 127"),
    ],
)
def test_a_page_that_is_wrong_fails_and_names_its_line(page, typed, complaint, monkeypatch):
    monkeypatch.setattr("tests.harness.site.Site.start", lambda site: site)  # these need no server
    with pytest.raises(Differs) as wrong:
        Reader(page(typed)).read()
    assert complaint in str(wrong.value)


def test_words_that_there_are_not_are_found(page):
    wrong = names.unknown_words(
        page(
            "`batchyard run --array 3 -- ls --all`, `batchyard runs`, `batchyard jobs --sideways ID`, `make haste`,\n"
            "`make test`, `BATCHYARD_PORT=1`, `BATCHYARD_PORTS`, `batchyard serve` and `batchyard api`\n"
            "`stop_grace_s`, `stop_grace_ms`\n"
            "```sh\nx=$(batchyard env --nope)\n```\n"
        )
    )
    assert sorted(wrong) == [
        "BATCHYARD_PORTS",
        "batchyard env --nope",
        "batchyard jobs --sideways",
        "batchyard runs",
        "make haste",
        "stop_grace_ms",
    ]


def test_links_that_lead_nowhere_are_found(page):
    made = page("# One thing\n[a](#one-thing) [b](#other) [c](page.md#one-thing) [d](none.md) [e](https://a.test/b)\n")
    assert [names.broken(made, target) is None for target in names.links(made)] == [True, False, True, False]


def test_names_of_code_that_a_file_does_not_have_are_found(page, tmp_path):
    (tmp_path / "a.py").write_text("TABLE: dict = {}\nclass Thing:\n    def go(self): ...\n")
    made = page("[`a.py`](a.py) [`Thing.go`](a.py) [`TABLE`](a.py) [`b.py`](a.py) [`Thing.stop`](a.py)\n")
    assert names.misnamed(made) == ["b.py is not a.py", "Thing.stop is not in a.py"]


def test_a_reader_can_go_on_where_the_page_ends(page):
    with Reader(page("# A\n```sh\nword=hello\n```\n")) as reader:
        assert reader.type("batchyard run -- echo $word") == "hello\n"
        assert reader.type("echo; exit_with() { return $1; }; exit_with 3", 3) == "\n"
        with pytest.raises(Differs, match="after the page:3 ended with 1, not 0"):
            reader.type("false")
        assert reader.type("echo $word") == "hello\n"
    assert not reader.site.pids()


def test_the_shells_own_descriptors_are_not_made_from_each_other():
    """It makes 8 and 9 of two pipes, one after the other: a pipe that is 8 already would be lost."""
    pipe = pipe_beyond_9()
    assert min(pipe) > 9
    for end in pipe:
        os.close(end)
