"""GET /metrics: the page as it lies, for those who bear the token or sign, and for nobody else."""

from __future__ import annotations

import json

import pytest

from tests.api.caller import ENDPOINT, TOKEN, call, signed

HOST = ("host", "127.0.0.1:22824")
BEARER = ("authorization", f"Bearer {TOKEN}")
PAGE = "# TYPE batchyard_jobs gauge\nbatchyard_jobs 3\n"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "metrics.prom").write_text(PAGE)


def get(server, *headers, path="/metrics", method="GET"):
    return call(server.app, method, ENDPOINT + path, [HOST, *headers])


def test_a_scraper_with_the_token_reads_the_page(server, page):
    answer = get(
        server, BEARER, ("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3")
    )
    assert answer.status == 200 and answer.body.decode() == PAGE
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_so_does_who_signs(server, page):
    answer = signed(server.app, "GET", "/metrics")
    assert answer.status == 200 and answer.body.decode() == PAGE
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("headers", [[], [("authorization", "Bearer wrong")], [("authorization", "Basic eDp5")]])
def test_nobody_else_does(server, page, headers):
    answer = get(server, *headers)
    assert answer.status == 403
    assert b"batchyard_jobs" not in answer.body and TOKEN.encode() not in answer.body


def test_the_token_opens_nothing_else(server, page):
    for path in ("/x/doctor", "/x/jobs/x", "/metrics/", "/metrics/../x/doctor", "/v1/describejobs"):
        assert get(server, BEARER, path=path).status in (403, 404), path
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        assert get(server, BEARER, method=method).status == 403, method


@pytest.mark.parametrize("stranger", [("origin", "http://evil.example"), ("host", "evil.example")])
def test_a_web_page_reads_nothing_even_with_the_token(server, page, stranger):
    answer = get(server, BEARER, stranger)
    assert answer.status == 403 and b"batchyard_jobs" not in answer.body


def test_before_the_first_page_it_is_said_what_to_do(server):
    answer = get(server, BEARER)
    assert answer.status == 503
    assert "There are no metrics yet." in json.loads(answer.body)["message"]
