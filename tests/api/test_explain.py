"""`GET /x/explain/ID`: each state of a job, in one sentence and as data."""

from __future__ import annotations

import json

import pytest

from batchyard.model import ids, states
from batchyard.model.needs import Needs
from batchyard.model.shown import LineShown, ShareShown, Starts
from batchyard.model.verdicts import VCPU, Kind, Obstacle, PlaceVerdict, Short, Verdict
from batchyard.ports import AttemptRow, Backlog, ClassVerdict, Shown, Waiting
from tests.api.caller import signed
from tests.api.memory import Progress

NOW_MS = 1_763_673_500_000  # of the test's clock, a little later
NEEDS = Needs(8000, 128)
TOO_LARGE = Verdict(
    Kind.MAXIMUM_BELOW, (PlaceVerdict(1, (Obstacle(Kind.MAXIMUM_BELOW, (Short(VCPU, 8000, 4000),)),)),), (), 0
)
AT_MAXIMUM = Verdict(Kind.AT_MAXIMUM, (PlaceVerdict(1, (Obstacle(Kind.AT_MAXIMUM, (Short(VCPU, 8000, 0),)),)),), (), 0)
TURN = Verdict(Kind.TURN, (PlaceVerdict(1, ()),), (), 0)


def explained(server, job_id: str) -> dict:
    answer = signed(server.app, "GET", f"/x/explain/{job_id}")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def runnable(server, job_id: str, index: int = ids.WHOLE, attempts=()) -> None:
    server.store.states[job_id, index] = Progress(states.RUNNABLE, attempts=list(attempts))


def waits(server, ahead: int, verdict: Verdict | None, head: str | None = None, starts: Starts = Starts(0)) -> None:
    line = LineShown((head, ids.WHOLE) if head else None, starts)
    shown = None if verdict is None else Shown(NOW_MS - 100, verdict)
    server.store.stand = Waiting(NEEDS, ahead, shown, Shown(NOW_MS, line))


def test_submitted(furnished):
    job_id = furnished.submit()
    assert explained(furnished, job_id)["sentence"].startswith("It was submitted just now")
    furnished.store.requests_waiting = Backlog(31, NOW_MS - 60_000, NOW_MS - 90_000)
    new = furnished.store.new_jobs[-1]
    furnished.store.new_jobs[-1] = new._replace(created_ms=NOW_MS - 60_000)
    found = explained(furnished, job_id)
    said = "It was submitted 61 seconds ago and the engine has not taken it yet: 31 requests "
    assert found["sentence"].startswith(said)
    assert found["sentence"].endswith("wait for the engine, which last recorded something 91 seconds ago.")
    assert found["status"] == "SUBMITTED" and found["requestsWaiting"] == 31 and "batchyard doctor" in found["nextStep"]


def test_what_cannot_start_says_what_would_change_it(furnished):
    job_id = furnished.submit()
    runnable(furnished, job_id)
    waits(furnished, 5, TOO_LARGE)
    found = explained(furnished, job_id)
    assert found["sentence"] == (
        "It cannot start: it asks for 8 vCPUs, and ce may never hold more than 4 vCPUs: "
        "ask for less, or raise maxvCpus of ce to 8."
    )
    assert found["nextStep"] == "Ask for less, or raise maxvCpus of ce to 8."
    assert found["commands"] == [
        "aws batch update-compute-environment --compute-environment ce --compute-resources maxvCpus=8"
    ]
    assert (found["kind"], found["standing"], found["ahead"]) == ("MAXIMUM_BELOW", True, 5)
    (place,) = found["computeEnvironments"]
    assert place["computeEnvironment"] == "ce"
    assert place["obstacles"] == [
        {"kind": "MAXIMUM_BELOW", "standing": True, "short": [{"dimension": "VCPU", "asked": 8, "has": 4}]}
    ]


def test_who_waits_its_turn_is_told_how_many_are_ahead_and_when_it_may_start(furnished):
    head, job_id = furnished.submit(), furnished.submit()
    for each in (head, job_id):
        runnable(furnished, each)
    minutes = tuple((NOW_MS - NOW_MS % 60_000 - 60_000 * back, 12) for back in range(9, -1, -1))
    waits(furnished, 31, AT_MAXIMUM, head, Starts(NOW_MS - 600_000, minutes))
    furnished.store.class_verdict = ClassVerdict(NEEDS, Shown(NOW_MS, AT_MAXIMUM))
    found = explained(furnished, job_id)
    assert found["sentence"] == (
        "It waits its turn, 31 jobs in queue q ahead of it: ce has 0 vCPUs left of its maxvCpus, and 8 vCPUs are "
        "needed; queue q started 120 jobs in the last 10 minutes: in about 3 minutes."
    )
    assert found["nextStep"] is None and found["estimate"]["restsOn"]["starts"] == 120
    assert 150_000 < found["estimate"]["inMs"] < 170_000
    assert found["head"]["jobId"] == head and found["head"]["kind"] == "AT_MAXIMUM"


@pytest.mark.parametrize(
    "starts",
    [
        Starts(NOW_MS - 600_000),
        Starts(NOW_MS - 600_000, ((NOW_MS - 3_600_000, 500),)),
        Starts(NOW_MS - 600_000, ((NOW_MS - 60_000, 2),)),
        Starts(NOW_MS - 5_000, ((NOW_MS - NOW_MS % 60_000, 500),)),
    ],
    ids=["none", "long ago", "too few", "too short"],
)
def test_no_estimate_is_better_than_a_silly_one(furnished, starts):
    head, job_id = furnished.submit(), furnished.submit()
    for each in (head, job_id):
        runnable(furnished, each)
    waits(furnished, 31, TURN, head, starts)
    furnished.store.class_verdict = ClassVerdict(NEEDS, Shown(NOW_MS, AT_MAXIMUM))
    found = explained(furnished, job_id)
    assert "estimate" not in found and "in about" not in found["sentence"]


def test_behind_a_head_that_cannot_start_the_head_is_what_to_change(furnished):
    head, job_id = furnished.submit(), furnished.submit()
    for each in (head, job_id):
        runnable(furnished, each)
    waits(furnished, 2, TURN, head, Starts(NOW_MS - 600_000, ((NOW_MS - 60_000, 99),)))
    furnished.store.class_verdict = ClassVerdict(NEEDS, Shown(NOW_MS, TOO_LARGE))
    found = explained(furnished, job_id)
    assert found["sentence"].startswith(
        f"It waits behind 2 jobs in queue q, and {head}, which goes first, cannot start: it asks for 8 vCPUs"
    )
    assert found["commands"] == [f"batchyard terminate {head}"] and "estimate" not in found


def test_the_head_itself(furnished):
    job_id = furnished.submit()
    runnable(furnished, job_id)
    waits(furnished, 0, AT_MAXIMUM, job_id)
    found = explained(furnished, job_id)
    assert found["sentence"].startswith("It goes next: ce has 0 vCPUs left of its maxvCpus")
    assert "head" not in found


def test_before_the_engine_has_shown_anything(furnished):
    job_id = furnished.submit()
    runnable(furnished, job_id)
    waits(furnished, 1, None)
    assert explained(furnished, job_id)["sentence"] == (
        "It waits, 1 job in queue q ahead of it; the engine has not told yet what for."
    )


def test_a_retry_stands_at_the_front(furnished):
    job_id = furnished.submit(retryStrategy={"attempts": 3})
    attempt = AttemptRow(1, 1, "i-1", 1, 2, 3, 1, None, "x", None, None)
    runnable(furnished, job_id, attempts=[attempt])
    waits(furnished, 0, AT_MAXIMUM, job_id)
    found = explained(furnished, job_id)
    assert found["sentence"].startswith("It was tried once before and stands at the front. It goes next: ")
    assert found["attempts"] == 1


def test_pending_names_what_it_waits_for_one_level_deep(furnished):
    first = furnished.submit(jobName="align")
    second = furnished.submit(jobName="sort", dependsOn=[{"jobId": first}])
    last = furnished.submit(dependsOn=[{"jobId": first}, {"jobId": second}])
    runnable(furnished, first)
    waits(furnished, 0, TOO_LARGE)
    for each in (second, last):
        furnished.store.states[each, ids.WHOLE] = Progress(states.PENDING)
    found = explained(furnished, second)
    assert found["sentence"].startswith(
        f"It waits for {first} (align, RUNNABLE) to succeed. Of {first}: It cannot start"
    )
    found = explained(furnished, last)
    assert found["sentence"] == f"It waits for {first} (align, RUNNABLE) and {second} (sort, PENDING) to succeed."
    told = [(each["jobId"], each["status"], each["sentence"][:15]) for each in found["waitsFor"]]
    assert told == [(first, "RUNNABLE", "It cannot start"), (second, "PENDING", "It waits for " + first[:2])]
    furnished.store.states[first, ids.WHOLE] = Progress(states.SUCCEEDED)
    assert "sort" in explained(furnished, last)["sentence"] and first not in explained(furnished, last)["sentence"]


def test_children_wait_for_their_counterparts_and_their_predecessors(furnished):
    first = furnished.submit(jobName="one", arrayProperties={"size": 3})
    pairs = furnished.submit(arrayProperties={"size": 3}, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    chain = furnished.submit(arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}])
    for job_id, index, status in ((first, 2, states.RUNNABLE), (pairs, 2, states.PENDING), (chain, 1, states.RUNNABLE),
                                  (chain, 2, states.PENDING)):  # fmt: skip
        furnished.store.states[job_id, index] = Progress(status)
    waits(furnished, 0, TOO_LARGE)
    assert explained(furnished, f"{pairs}:2")["waitsFor"][0]["jobId"] == f"{first}:2"
    assert explained(furnished, f"{chain}:2")["waitsFor"][0]["jobId"] == f"{chain}:1"


def test_of_many_only_the_first_are_named(furnished):
    ups = [furnished.submit() for _ in range(15)]
    job_id = furnished.submit(dependsOn=[{"jobId": up} for up in ups])
    for each in (*ups, job_id):
        furnished.store.states[each, ids.WHOLE] = Progress(states.PENDING)
    found = explained(furnished, job_id)
    assert len(found["waitsFor"]) == 10 and found["waitsForMore"] == 5
    assert found["sentence"].count("(job, PENDING)") == 3 and "12 other jobs" in found["sentence"]


def test_an_array_is_counted_and_its_first_waiting_child_explained(furnished):
    parent = furnished.submit(arrayProperties={"size": 3})
    furnished.store.states[parent, ids.WHOLE] = Progress(states.PENDING)
    for index, status in enumerate((states.SUCCEEDED, states.RUNNABLE, states.RUNNABLE)):
        furnished.store.states[parent, index] = Progress(status)
    waits(furnished, 0, TOO_LARGE)
    found = explained(furnished, parent)
    assert found["sentence"].startswith(
        f"It is an array of 3 jobs: 2 RUNNABLE and 1 SUCCEEDED. Of {parent}:1: It cannot start: "
    )
    assert found["children"]["RUNNABLE"] == 2 and found["child"]["jobId"] == f"{parent}:1"


def test_starting_and_running(furnished):
    job_id = furnished.submit()
    attempt = AttemptRow(1, 1, "i-1", NOW_MS - 60_000, None, None, None, None, None, None, None)
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.STARTING, attempts=[attempt])
    found = explained(furnished, job_id)
    assert found["sentence"].startswith("It is being started in ce on i-1 for ") and "doctor" in found["nextStep"]
    furnished.store.states[job_id, ids.WHOLE] = Progress(
        states.RUNNING, None, NOW_MS - 3_600_000 * 3, attempts=[attempt._replace(started_ms=NOW_MS - 10_800_000)]
    )
    found = explained(furnished, job_id)
    assert found["sentence"] == "It runs in ce on i-1 for 3 hours." and found["instance"] == "i-1"


def test_how_it_ended_and_what_kept_it_from_being_tried_again(furnished):
    rules = [{"onExitCode": "4", "action": "RETRY"}, {"onExitCode": "3", "action": "exit"}]
    job_id = furnished.submit(retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    attempt = AttemptRow(1, 1, "i-1", 1, 2, 5000, 3, None, "Essential container in task exited", None, None)
    ended = Progress(states.FAILED, "Essential container in task exited", 2, 5002, attempts=[attempt])
    furnished.store.states[job_id, ids.WHOLE] = ended
    assert explained(furnished, job_id)["sentence"] == (
        "It failed at attempt 1 of 3 after 5 seconds: Essential container in task exited, exit code 3. "
        "It was not tried again: entry 2 of its evaluateOnExit (onExitCode 3) says exit."
    )
    furnished.store.states[job_id, ids.WHOLE] = Progress(states.SUCCEEDED, "x", 2, 3002, attempts=[attempt])
    assert explained(furnished, job_id)["sentence"] == "It succeeded after 3 seconds."


@pytest.mark.parametrize("given", ["nope", "1e3d0a52-8f0b-4a3d-9d3a-2f4a7f7f0f11", "%00", "%F0%9F%92%A9", "a" * 3000])
def test_an_id_that_is_nobodys(server, given):
    answer = signed(server.app, "GET", f"/x/explain/{given}")
    assert answer.status == 400 and b"does not exist in region us-east-1" in answer.body


def test_it_is_read_with_get_alone(server):
    answer = signed(server.app, "POST", "/x/explain/nope", b"{}")
    assert answer.status == 404 and b"GET /x/explain/ID" in answer.body


def test_in_a_queue_with_shares_the_place_of_the_share_is_told(furnished):
    head, job_id = furnished.submit(), furnished.submit()
    for each in (head, job_id):
        runnable(furnished, each)
    starts = Starts(NOW_MS - 600_000, ((NOW_MS - 60_000, 60),))
    first = ShareShown("a", 10_000, 4000, (head, ids.WHOLE), Starts(0))
    second = ShareShown("b", 10_000, 4000, (job_id, ids.WHOLE), starts)
    line = LineShown((head, ids.WHOLE), starts, (first, second))
    shown = Shown(NOW_MS, AT_MAXIMUM)
    furnished.store.class_verdict = ClassVerdict(NEEDS, shown)
    furnished.store.stand = Waiting(NEEDS, 5, shown, Shown(NOW_MS, line), "b")
    found = explained(furnished, job_id)
    assert found["sentence"] == (
        "It waits its turn, 5 jobs of share b in queue q ahead of it; share b is number 2 of 2: ce has 0 vCPUs left of "
        "its maxvCpus, and 8 vCPUs are needed; share b started 60 jobs in the last 10 minutes: in about 60 seconds."
    )
    assert found["share"] == {"shareIdentifier": "b", "place": 2, "of": 2}
    furnished.store.stand = furnished.store.stand._replace(ahead=0)
    assert explained(furnished, job_id)["sentence"].startswith("It waits its turn, no job of share b in queue q ahead")
