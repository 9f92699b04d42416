"""One line an event, whatever is in it: as text for people, as JSON for programs."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchyard.loglines import FORMATS, JSON, TEXT, Lines, request_id


def line(form: str, message: str, *arguments, level=logging.WARNING, error=None, **fields) -> str:
    record = logging.LogRecord("batchyard.api", level, "app.py", 1, message, arguments, error)
    vars(record).update(fields)
    return Lines("api", form).format(record)


def test_text_is_when_who_how_bad_what_and_the_rest():
    said = line(TEXT, "%d bytes held", 7, status=200, operation="SubmitJob", why="no room", told="a=b", none=None)
    when, rest = said.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", when)
    more = 'status=200 operation=SubmitJob why="no room" told="a=b" none=null'
    assert rest == f"api warning batchyard.api: 7 bytes held {more}"


def test_json_has_the_same_by_name():
    told = json.loads(line(JSON, "%d bytes held", 7, status=200, why="no room"))
    assert told.pop("time").endswith("Z")
    assert told == {
        "role": "api",
        "level": "warning",
        "logger": "batchyard.api",
        "message": "7 bytes held",
        "status": 200,
        "why": "no room",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_the_request_is_named_while_it_is_answered(form):
    token = request_id.set("r-1")
    try:
        assert re.search(r'request"?[=:] ?"?r-1', line(form, "x"))
    finally:
        request_id.reset(token)
    assert "r-1" not in line(form, "x")


def failure(text: str):
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


def test_an_error_brings_its_traceback():
    told = json.loads(line(JSON, "failed", error=failure("a\nb")))
    assert told["error"].startswith("Traceback") and told["error"].endswith("ValueError: a\nb")
    lines = line(TEXT, "failed", error=failure("a\nb")).split("\n")
    assert lines[0].endswith("failed") and lines[-1] == "    b"
    assert all(more.startswith("    ") for more in lines[1:])


@given(message=st.text(max_size=60), value=st.text(max_size=60) | st.binary(max_size=9) | st.integers())
def test_nothing_that_a_caller_chose_makes_a_second_line(message, value):
    said = line(TEXT, "%s", message, value=value)
    assert len(said.splitlines()) == 1 and not any(unicodedata.category(letter) == "Cc" for letter in said)
    said = line(JSON, "%s", message, value=value)
    assert len(said.splitlines()) == 1
    assert json.loads(said)["message"] == message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise KeyError('lost')", "KeyError: 'lost'"),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", "ZeroDivisionError"),
        ("import warnings; warnings.warn('old', UserWarning)", "old"),
    ],
)
def test_what_a_process_dies_of_and_is_warned_of_is_said_like_the_rest(script, words):
    program = f"from batchyard import loglines\nloglines.setup('engine', 'warning', 'json')\n{script}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    (told,) = [json.loads(each) for each in done.stderr.splitlines()]
    assert told["role"] == "engine" and words in told.get("error", told["message"])
    assert done.returncode == (1 if script.startswith("raise") else 0)


def test_a_level_hides_what_is_below_it():
    program = "import logging\nfrom batchyard import loglines\nloglines.setup('api', 'warning', 'text')\n"
    program += "logging.getLogger('x').info('quiet'); logging.getLogger('x').warning('loud')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "loud" in done.stderr and "quiet" not in done.stderr


def test_a_line_that_cannot_be_written_ends_nobody():
    program = "import logging, os, sys\nfrom batchyard import loglines\nloglines.setup('api', 'warning', 'text')\n"
    program += "os.close(2); logging.getLogger('x').warning('loud'); print('alive')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stdout == "alive\n"
