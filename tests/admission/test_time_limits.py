"""Which time limits for blocked heads are taken, in AWS's words where they are known."""

from __future__ import annotations

import pytest

from batchyard.admission.time_limits import admitted
from batchyard.errors import ClientError
from batchyard.model.blocked import LIMITED, TEXTS, code_of
from batchyard.wire.shapes import JobStateTimeLimitAction

CPU = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
LIMIT = {"reason": CPU, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}


def actions(*given) -> list[JobStateTimeLimitAction]:
    return [JobStateTimeLimitAction(**(LIMIT | each)) for each in given]


def refusal(*given) -> str:
    with pytest.raises(ClientError) as raised:
        admitted(actions(*given))
    return raised.value.message


@pytest.mark.parametrize("code", LIMITED)
def test_a_reason_is_taken_by_its_text_and_by_its_code_and_kept_as_given(code):
    for reason in (code, TEXTS[code], f"{code} - "):
        kept = admitted(actions({"reason": reason, "maxTimeSeconds": 86_400}))
        assert kept == [LIMIT | {"reason": reason, "maxTimeSeconds": 86_400}]
        assert code_of(kept[0]["reason"]) == code


def test_the_texts_of_older_documents_are_taken():
    reason = f"{CPU} - All compute environments have a maxVcpu setting that is smaller than the job requirements."
    assert admitted(actions({"reason": reason}))[0]["reason"] == reason


def test_one_for_each_reason_at_most():
    assert len(admitted(actions(*({"reason": code} for code in LIMITED)))) == 4
    assert refusal({}, {"reason": TEXTS[CPU], "maxTimeSeconds": 700}) == (
        "Duplicate job state limit actions are not allowed."
    )


@pytest.mark.parametrize("seconds", [-1, 0, 599, 86_401])
def test_times_from_ten_minutes_to_a_day(seconds):
    assert refusal({"maxTimeSeconds": seconds}).startswith(
        f"jobStateTimeLimitActions[0].maxTimeSeconds is {seconds}: it should be between 600 and 86400."
    )


def test_a_container_queue_cancels():
    assert refusal({"action": "TERMINATE"}) == "Invalid job action. Valid job actions: [CANCEL]"


@pytest.mark.parametrize("reason", ["", "CAPACITY", CPU[:-1], f"{CPU} - Something else", "x" * 5000])
def test_other_reasons_are_refused_with_those_that_there_are(reason):
    text = refusal({}, {"reason": reason})
    assert text.startswith("jobStateTimeLimitActions[1].reason is ")
    assert all(code in text for code in LIMITED)
    assert len(text) < 700


@pytest.mark.parametrize("code", sorted(TEXTS.keys() - set(LIMITED)))
def test_for_what_an_operator_must_repair_no_job_is_cancelled(code):
    assert f"jobStateTimeLimitActions[0].reason is {code}: no action can be taken for it" in refusal(
        {"reason": TEXTS[code]}
    )
