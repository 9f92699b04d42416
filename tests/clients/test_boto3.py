"""boto3 of 2024, unmodified: the example, and what it reads back."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.long
CLIENT = "boto3"


def run(place, program: str, *arguments: str):
    """What a program of tests/clients/programs prints as JSON, run by the client's own Python."""
    return json.loads(place.type(f"boto3/bin/python programs/{program}.py {' '.join(arguments)}"))


def test_the_version_is_the_one_that_is_pinned(place):
    assert place.type("python3 -c 'import boto3; print(boto3.__version__)'") == "1.34.162\n"


def test_a_hundred_jobs_are_described_as_soon_as_they_are_submitted(place):
    """T2: clients assert that none is missing."""
    assert run(place, "at_once") == []


def test_a_job_is_stopped_exactly_when_it_has_ended(place):
    """T1: Metaflow takes stoppedAt for the end, and then reads the status."""
    seen = run(place, "watch")
    assert seen["wrong"] == []
    assert seen["last"] == "SUCCEEDED"


def test_log_pages_end_at_both_ends(place):
    """T15: the same token again at the end; nothing and the same token before the beginning."""
    assert run(place, "pages_of_a_log") == {
        "forward": ["1", "2", "3", "4", "5", "6", "7"],
        "backward": ["6 7", "4 5", "2 3", "1"],
        "ends repeat": True,
    }


def test_definitions_come_back_as_they_were_registered(place):
    """T11: also empty lists, false, and the order of lists."""
    assert run(place, "registered") == {}
