"""Every job rule once more from outside: stock boto3, real processes, outputs compared."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def queue(site):
    return site.queue("rules")


def test_the_guides_dag_runs_in_its_order(site, queue, tmp_path):
    #  a --> b[0..3] ==> c[0..3] --> d[0..2], one by one --> e
    out = tmp_path / "trace"
    site.definition("trace", "sh", "-c", f"echo Ref::name$AWS_BATCH_JOB_ARRAY_INDEX >> {out}")
    four, three = {"size": 4}, {"size": 3}

    def submit(name, depends_on, **more):
        return site.submit(queue, "trace", name=name, parameters={"name": name}, dependsOn=depends_on, **more)

    a = submit("a", [])
    b = submit("b", [{"jobId": a}], arrayProperties=four)
    c = submit("c", [{"jobId": b, "type": "N_TO_N"}], arrayProperties=four)
    d = submit("d", [{"jobId": c}, {"type": "SEQUENTIAL"}], arrayProperties=three)
    e = submit("e", [{"jobId": d}])
    assert site.finished(e)["status"] == "SUCCEEDED"
    lines = out.read_text().split()
    assert lines[0] == "a"
    assert lines[-4:] == ["d0", "d1", "d2", "e"]
    assert sorted(lines[1:9]) == ["b0", "b1", "b2", "b3", "c0", "c1", "c2", "c3"]
    assert all(lines.index(f"b{index}") < lines.index(f"c{index}") for index in range(4))


def test_a_failed_child_fails_its_counterpart_and_not_the_others(site, queue):
    site.definition("odd", "sh", "-c", "test $((AWS_BATCH_JOB_ARRAY_INDEX % 2)) = 0")
    site.definition("yes", "true")
    first = site.submit(queue, "odd", arrayProperties={"size": 4})
    second = site.submit(queue, "yes", arrayProperties={"size": 4}, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    parent = site.finished(second)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    ends = [site.describe(f"{second}:{index}") for index in range(4)]
    assert [end["status"] for end in ends] == ["SUCCEEDED", "FAILED", "SUCCEEDED", "FAILED"]
    assert ends[1]["statusReason"] == "Dependent Job failed"


@pytest.mark.parametrize(("code", "attempts"), [(7, 1), (8, 3)])
def test_evaluate_on_exit_decides_by_the_exit_code(site, queue, code, attempts):
    site.definition(f"exit{code}", "sh", "-c", f"exit {code}")
    rules = [{"onExitCode": "8", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job = site.finished(site.submit(queue, f"exit{code}", retryStrategy={"attempts": 3, "evaluateOnExit": rules}))
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [code] * attempts


def test_a_command_that_is_not_there_and_one_that_eats_its_memory_say_so(site, queue):
    site.definition("nowhere", "no-such-program")
    job = site.finished(site.submit(queue, "nowhere"))
    assert job["statusReason"] == "Task failed to start"
    assert job["container"]["reason"].startswith("CannotStartContainerError: ")
    site.definition("hog", "python3", "-c", "kept = bytearray(400 << 20); import time; time.sleep(3)", memory=64)
    job = site.finished(site.submit(queue, "hog"))
    assert job["container"]["exitCode"] == 137
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_cancel_fails_what_waits_and_leaves_what_runs(site):
    queue = site.queue("cancelling")
    site.definition("hold", "sleep", "2", vcpus=4)
    running = site.submit(queue, "hold")
    waiting = site.submit(queue, "hold")
    site.wait_for(lambda: site.describe(running)["status"] == "RUNNING", "the first one runs")
    batch = site.client("batch")
    for job in (running, waiting):
        batch.cancel_job(jobId=job, reason="changed my mind")
    end = site.finished(waiting)
    assert (end["status"], end["statusReason"], end["attempts"]) == ("FAILED", "changed my mind", [])
    assert end["isCancelled"] is True
    assert site.finished(running)["status"] == "SUCCEEDED"


def test_overrides_merge_as_the_reference_says(site, queue):
    site.definition("merge", "env", vcpus=1, memory=64)
    site.client("batch").register_job_definition(
        jobDefinitionName="merge",
        type="container",
        containerProperties={
            "image": "any",
            "command": ["env"],
            "environment": [{"name": "KEPT", "value": "1"}, {"name": "CHANGED", "value": "old"}],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        },
    )
    job = site.finished(
        site.submit(
            queue,
            "merge",
            containerOverrides={
                "environment": [{"name": "CHANGED", "value": "new"}, {"name": "ADDED", "value": "2"}],
                "resourceRequirements": [{"type": "MEMORY", "value": "128"}],
                "vcpus": 3,
            },
        )
    )
    seen = dict(line.split("=", 1) for line in site.output(job).splitlines())
    assert {name: seen[name] for name in ("KEPT", "CHANGED", "ADDED")} == {"KEPT": "1", "CHANGED": "new", "ADDED": "2"}
    asked = {each["type"]: each["value"] for each in job["container"]["resourceRequirements"]}
    assert asked == {"VCPU": "1", "MEMORY": "128"}
