"""The token for scrapers: made once, private, and good for nothing but what it is for."""

from __future__ import annotations

import os
import re
import stat

import pytest

from batchyard.access import tokens
from batchyard.access.secret_file import KeyFileError
from batchyard.errors import NotSigned, UnknownKey

TOKEN = "0123456789abcdef"


def headers(*values):
    return [(b"host", b"localhost"), *((b"authorization", value.encode()) for value in values)]


def test_it_is_made_at_the_first_start_and_stays(tmp_path):
    path = tmp_path / "metrics-token"
    token = tokens.ensure(path)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert path.read_text() == token + "\n", "as credentials_file of Prometheus takes it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tokens.ensure(path) == token
    assert os.listdir(tmp_path) == ["metrics-token"]


def test_an_operators_own_token_is_taken(tmp_path):
    path = tmp_path / "metrics-token"
    path.write_text("our-own-token-of-old\n")
    path.chmod(0o600)
    assert tokens.ensure(path) == "our-own-token-of-old"


@pytest.mark.parametrize("content", ["", "short\n", "two words of some length\n", "é" * 20, "x" * 300])
def test_a_garbled_one_is_refused_without_its_content(tmp_path, content):
    path = tmp_path / "metrics-token"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="remove it to have a new one made") as refused:
        tokens.ensure(path)
    assert not content.strip() or content.strip() not in str(refused.value)


def test_one_that_others_may_read_is_refused_with_the_command(tmp_path):
    path = tmp_path / "metrics-token"
    tokens.ensure(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match=f"chmod 600 {re.escape(str(path))}"):
        tokens.ensure(path)


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN}"])
def test_who_bears_it_may(value):
    assert tokens.bears(headers(value), TOKEN) is True


@pytest.mark.parametrize("value", ["AWS4-HMAC-SHA256 Credential=x", "Basic eDp5", TOKEN, ""])
def test_others_are_judged_by_their_signature(value):
    assert tokens.bears(headers(value), TOKEN) is False


def test_two_headers_are_judged_by_their_signature_which_refuses_them():
    assert tokens.bears(headers(f"Bearer {TOKEN}", "x"), TOKEN) is False


@pytest.mark.parametrize("value", ["Bearer ", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"])
def test_another_token_is_refused(value):
    with pytest.raises(UnknownKey, match="metrics-token of the data directory") as refused:
        tokens.bears(headers(value), TOKEN)
    assert TOKEN not in refused.value.message


def test_nothing_at_all_is_refused_with_both_ways():
    with pytest.raises(NotSigned, match=r"Authorization: Bearer TOKEN\), or sign it"):
        tokens.bears(headers(), TOKEN)
