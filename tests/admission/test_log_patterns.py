"""Filter patterns over plain messages, as CloudWatch's own page explains them."""

from __future__ import annotations

import pytest

from batchyard.admission.log_patterns import matcher
from batchyard.errors import InvalidParameter

LINES = {
    "a": "[ERROR 400] BAD REQUEST",
    "b": "[ERROR 401] UNAUTHORIZED REQUEST",
    "c": "[WARN] slow request",
    "d": "[INFO 200] all is well",
    "e": 'he said "no" to c:\\temp',
    "f": "",
}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", "abcdef"),
        ("   ", "abcdef"),
        ("ERROR", "ab"),
        ("error", ""),
        ("REQUEST ERROR", "ab"),
        ('"BAD REQUEST"', "a"),
        ('"ERROR 401" REQUEST', "b"),
        ("ERROR -401", "a"),
        ('ERROR -"BAD REQUEST"', "b"),
        ("-ERROR", "cdef"),
        ("?ERROR ?WARN", "abc"),
        ('?"INFO 200" ?slow', "cd"),
        ("REQUEST ?401 ?WARN", "b"),
        ("?ERROR ?WARN -400", "bc"),
        ("-", ""),  # a sign alone is a term like any other
        ("ERROR ?", ""),
        ('"[WARN]"', "c"),
        (r'"\"no\""', "e"),
        (r'"c:\\temp"', "e"),
        ("request  \t slow", "c"),
        ("401]", "b"),
    ],
)
def test_terms_phrases_and_signs(pattern, found):
    matches = matcher(pattern)
    assert "".join(name for name, line in LINES.items() if matches(line)) == found


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("{ $.level = ERROR }", "JSON patterns"),
        ("[ip, user]", "patterns of fields"),
        ("%AUTH.*%", "regular expressions"),
        ('ERROR "not closed', "cannot be read from character 6 on: '\"not closed'"),
        ('"a"b', "cannot be read from character 1"),
        ('"', "cannot be read"),
    ],
)
def test_what_is_no_such_pattern_is_refused_by_name(pattern, says):
    with pytest.raises(InvalidParameter) as refused:
        matcher(pattern)
    assert "filterPattern" in refused.value.message and says in refused.value.message


def test_a_long_pattern_is_read_in_a_moment():
    assert matcher(" ".join(["a"] * 512))("a")
    with pytest.raises(InvalidParameter):
        matcher('"' + "\\" * 1022)
