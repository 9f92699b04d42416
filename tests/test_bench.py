"""The measurements measure what they say; how fast anything is, is not asserted here."""

import importlib
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench import bare, run
from bench.load import presigned
from bench.measure import Measure

from batchyard.access.authenticate import SignedRequest, authenticate
from batchyard.access.keys import Keyring, generate

SCENARIOS = Path(run.__file__).parent / "scenarios"


def yielded(name: str) -> set[str]:
    """Names of the measures in a scenario's source."""
    return set(re.findall(rf'"({name}\.\w+)"', (SCENARIOS / f"{name}.py").read_text()))


def test_every_measure_has_a_budget_and_every_budget_a_measure():
    assert {path.stem for path in SCENARIOS.glob("[!_]*.py")} == set(run.SCENARIOS)
    assert set(tomllib.loads(run.BUDGETS.read_text())) == set().union(*map(yielded, run.SCENARIOS))


def test_every_scenario_can_be_run():
    for name in run.SCENARIOS:
        assert callable(importlib.import_module(f"bench.scenarios.{name}").measure)


def test_every_budget_says_what_unit_and_limit():
    for name, budget in tomllib.loads(run.BUDGETS.read_text()).items():
        assert budget["what"] and budget["unit"], name
        assert run.within(1.0, budget["limit"]) in (True, False, None), name


@pytest.mark.parametrize(
    ("value", "limit", "met"),
    [(3, "<= 3", True), (3, "< 3", False), (3, ">= 3", True), (2.9, ">= 3", False), (1e9, "", None)],
)
def test_a_limit_is_kept_or_not(value, limit, met):
    assert run.within(value, limit) is met


def test_what_was_measured_is_noted_and_the_rest_stays(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "BUDGETS", tmp_path / "budgets.toml")
    budgets = {
        "a.x": {"what": 'a "quoted" thing', "unit": "ms", "limit": "< 2"},
        "b.y": {"what": "other", "unit": "us", "limit": ""},
    }
    measured = Measure("a.x", "ms", (3.0, 1.0, 1.5), (("bare", (1.0, 3.0)),), ("note",))
    assert run.report(measured, budgets)
    run.note(measured, budgets, 0.0)
    run.write(budgets)
    again = tomllib.loads(run.BUDGETS.read_text())
    assert list(again) == ["a.x", "b.y"]
    assert again["a.x"]["measured"] == 1.5 and again["a.x"]["what"] == 'a "quoted" thing'
    assert again["b.y"] == budgets["b.y"]
    said = capsys.readouterr().out
    assert "1.5 (of 3: 1 to 3) ms" in said and "ratio 0.75" in said and "met" in said


def test_the_load_is_signed_and_every_request_is_another_one():
    key = generate()
    seen = set()
    for request in presigned("http://127.0.0.1:1", key, 3):
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        pairs = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines[1:])]
        headers = dict(pairs)
        signed = SignedRequest("POST", lines[0].split()[1].decode(), "", pairs, body)
        assert authenticate(signed, Keyring([key]), wall_s(headers[b"x-amz-date"])).service == "batch"
        seen.add((headers[b"amz-sdk-invocation-id"], body))
    assert len(seen) == 3 and len({body for _, body in seen}) == 3


def wall_s(amz_date: bytes) -> float:
    return datetime.strptime(amz_date.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def test_the_bare_loop_runs_every_job_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(bare.tempfile, "tempdir", str(tmp_path))
    ran = bare.slot_loop(2, 7)  # which itself counts the exit records
    assert ran.rate > 0 and ran.cpu_us > 0
    assert list(tmp_path.iterdir()) == []
