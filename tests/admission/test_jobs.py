"""SubmitJob: merging, substitution, dependencies and refusals."""

from __future__ import annotations

import pytest

from batchyard.admission import parameters
from batchyard.errors import ClientError
from batchyard.model.jobs import AFTER, N_TO_N, SEQUENTIAL, AskedUpstream, RetryRule
from batchyard.model.needs import Needs
from tests.admission.requests import ABSENT, ACCOUNT, NEEDS, REGION, UUID, body, compiled, submit

OLD_WAY = {"resourceRequirements": ABSENT, "vcpus": 1, "memory": 64}


# -- Ref:: -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        (["echo", "Ref::a"], {"a": "x y"}, ["echo", "x y"]),  # one element, however many words
        (["--in=Ref::a/Ref::b.txt"], {"a": "1", "b": "2"}, ["--in=1/2.txt"]),
        (["Ref::a"], {"a": "Ref::b", "b": "no"}, ["Ref::b"]),  # what was put in is not searched again
        (["Ref::a_b-c1"], {"a": "no", "a_b-c1": "yes"}, ["yes"]),  # the name runs as far as it can
        (["Ref::a"], {"a": ""}, [""]),
        (["Ref::a", "Ref::a"], {"a": "\\1"}, ["\\1", "\\1"]),
        (["Ref:: a", "ref::a", "Ref:a"], {}, ["Ref:: a", "ref::a", "Ref:a"]),  # no name: no placeholder
    ],
)
def test_substitution(command, given, expected):
    assert parameters.substitute(command, given) == expected


def test_parameters_merge_key_by_key_and_unknown_ones_stay():
    definition = compiled({"command": ["Ref::a", "Ref::b"]}, parameters={"a": "1", "b": "2"})
    job = body(submit(definition, parameters={"b": "3", "extra": "4"}))
    assert job["container"]["command"] == ["1", "3"]
    assert job["parameters"] == {"a": "1", "b": "3", "extra": "4"}
    assert body(submit(definition))["container"]["command"] == ["1", "2"]  # the definition was not touched


def test_a_reference_without_a_parameter_is_refused():
    definition = compiled({"command": ["Ref::word"]})
    text = "^Unable to substitute value. No parameter found for reference word$"
    with pytest.raises(ClientError, match=text):
        submit(definition)
    with pytest.raises(ClientError, match=text):
        submit(compiled(), containerOverrides={"command": ["x=Ref::word"]})
    with pytest.raises(ClientError, match="NUL"):
        submit(definition, parameters={"word": "\0"})
    assert body(submit(definition, containerOverrides={"command": ["plain"]}))["container"]["command"] == ["plain"]


# -- overrides -------------------------------------------------------------------------------------------------------


def test_environment_merges_by_name_and_command_as_a_whole():
    definition = compiled(
        {"command": ["a", "b"], "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    )
    overrides = {"command": ["c"], "environment": [{"name": "B", "value": "x"}, {"name": "C"}]}
    container = body(submit(definition, containerOverrides=overrides))["container"]
    assert container["command"] == ["c"]
    assert container["environment"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "x"}, {"name": "C"}]
    untouched = body(submit(definition, containerOverrides={"command": [], "environment": []}))["container"]
    assert untouched["command"] == ["a", "b"] and len(untouched["environment"]) == 2


def test_requirements_merge_by_type():
    overrides = {"resourceRequirements": [{"type": "MEMORY", "value": "256"}, {"type": "GPU", "value": "2"}]}
    job = submit(containerOverrides=overrides, at={"gpus": 2})
    assert job.needs == Needs(1000, 256, 2)
    assert body(job)["container"]["resourceRequirements"] == [
        {"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "256"}, {"type": "GPU", "value": "2"},
    ]  # fmt: skip
    assert submit().needs == Needs(1000, 128, 0)


def test_deprecated_overrides_act_on_definitions_that_use_them():
    job = submit(compiled(OLD_WAY), containerOverrides={"vcpus": 2, "memory": 512})
    assert job.needs == Needs(2000, 512)
    container = body(job)["container"]
    assert (container["vcpus"], container["memory"]) == (2, 512)


def test_deprecated_overrides_leave_requirements_alone_and_say_so():
    job = submit(containerOverrides={"vcpus": 8, "memory": 9999})
    assert job.needs == Needs(1000, 128)
    assert "vcpus" not in body(job)["container"]
    said = [notice for notice in body(job)["notices"] if "deprecated key" in notice]
    assert len(said) == 2 and said[0].startswith("containerOverrides.vcpus")


def test_a_requirement_takes_the_place_of_the_deprecated_member():
    overrides = {"resourceRequirements": [{"type": "VCPU", "value": "3"}]}
    job = submit(compiled(OLD_WAY), containerOverrides=overrides)
    assert job.needs == Needs(3000, 64)
    assert "vcpus" not in body(job)["container"] and body(job)["container"]["memory"] == 64


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"resourceRequirements": [{"type": "VCPU", "value": "0.5"}]}, "Please provide a numeric value."),
        ({"resourceRequirements": [{"type": "MEMORY", "value": "1"}]}, "Memory must be at least 4 Mib, got 1 Mib."),
        ({"resourceRequirements": NEEDS * 2}, "Cannot provide duplicates in resourceRequirements."),
        ({"environment": [{"value": "x"}]}, "Environment variable name is required."),
        ({"command": ["\0"]}, "NUL"),
    ],
)
def test_overrides_are_held_to_the_same_rules(overrides, text):
    with pytest.raises(ClientError) as raised:
        submit(containerOverrides=overrides)
    assert text in raised.value.message
    with pytest.raises(ClientError, match="vCPU must be at least 1, got 0"):
        submit(compiled(OLD_WAY), containerOverrides={"vcpus": 0})


def test_retry_strategy_and_timeout_are_replaced_as_a_whole():
    strategy = {"attempts": 5, "evaluateOnExit": [{"action": "exit", "onExitCode": "3*", "onReason": ""}]}
    definition = compiled(retryStrategy=strategy, timeout={"attemptDurationSeconds": 90}, propagateTags=True)
    job = submit(definition)
    assert job.retry == (5, (RetryRule(False, "3*"),)) and job.timeout_s == 90
    assert (body(job)["retryStrategy"], body(job)["timeout"]) == (strategy, {"attemptDurationSeconds": 90})
    assert body(job)["propagateTags"] is True
    job = submit(definition, retryStrategy={"attempts": 2}, timeout={"attemptDurationSeconds": 60}, propagateTags=False)
    assert job.retry == (2, ()) and job.timeout_s == 60
    assert body(job)["retryStrategy"] == {"attempts": 2} and body(job)["propagateTags"] is False
    assert submit().timeout_s is None and submit().retry == (1, ())


def test_tags_are_the_jobs_own():
    definition = compiled(tags={"of": "the definition"})
    assert body(submit(definition, tags={"of": "the job"}))["tags"] == {"of": "the job"}
    assert body(submit(definition))["tags"] == {}


def test_equal_submissions_have_equal_bodies():
    """The store keeps a body once by its content."""
    definition = compiled({"privileged": True})
    assert submit(definition).body == submit(definition, jobName="other").body


# -- refusals --------------------------------------------------------------------------------------------------------

SHARE = (
    "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share scheduling "
    "policy."
)


@pytest.mark.parametrize(
    ("members", "at", "text"),
    [
        ({"jobName": "-a"}, {}, "Job name should match valid pattern"),
        ({"jobName": "a" * 129}, {}, "Job name should match valid pattern"),
        ({"jobName": "a b"}, {}, "Job name should match valid pattern"),
        ({"jobName": ""}, {}, "Job name should match valid pattern"),
        ({}, {"payload_bytes": 30 * 1024 + 1}, "Job size must be less than 30 KiB, got 31 KiB"),
        ({}, {"payload_bytes": 47 * 1024}, "Job size must be less than 30 KiB, got 47 KiB"),
        ({}, {"queue_enabled": False}, "JobQueue q is DISABLED."),
        ({"shareIdentifier": "a"}, {}, SHARE),
        ({"schedulingPriorityOverride": 0}, {}, SHARE),
        ({}, {"queue_type": "ECS_FARGATE"}, "that can not run Jobs with capability EC2."),
        ({"nodeOverrides": {}}, {}, "nodeOverrides applies only to multinode job definitions"),
        ({"eksPropertiesOverride": {}}, {}, "eksPropertiesOverride applies only to"),
        ({"arrayProperties": {"size": 1}}, {}, "arrayProperties.size must be between 2 and 10000, got 1."),
        ({"arrayProperties": {"size": 10_001}}, {}, "got 10001."),
        ({"dependsOn": [{"jobId": UUID}] * 21}, {}, "Job cannot have more than 20 dependencies"),
        ({"dependsOn": [{}]}, {}, "dependsOn: jobId is required."),
        ({"dependsOn": [{"jobId": "x"}]}, {}, "dependsOn: 'x' is not a job id."),
        ({"dependsOn": [{"jobId": UUID, "type": "N_TO_N"}]}, {}, "type N_TO_N is only for array jobs."),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, {}, "type SEQUENTIAL is only for array jobs."),
        (
            {"dependsOn": [{"jobId": f"{UUID}:0", "type": "N_TO_N"}], "arrayProperties": {"size": 2}},
            {},
            "N_TO_N names the child",
        ),
        ({"timeout": {"attemptDurationSeconds": 10}}, {}, "at least 60 seconds, got 10"),
        ({"retryStrategy": {"attempts": 11}}, {}, "between 1 and 10, got 11"),
    ],
)
def test_submissions_refused(members, at, text):
    with pytest.raises(ClientError) as raised:
        submit(at=at, **members)
    assert text in raised.value.message


def test_every_form_of_dependency():
    other = UUID.replace("1e", "2e")
    entries = [
        {"jobId": other},
        {"jobId": f"{other}:3"},
        {"jobId": other, "type": "N_TO_N"},
        {"type": "SEQUENTIAL"},
        {"jobId": other, "type": "SEQUENTIAL"},
    ]
    job = submit(arrayProperties={"size": 4}, dependsOn=entries)
    assert job.size == 4
    assert job.upstreams == (
        AskedUpstream(other, -1, AFTER),
        AskedUpstream(other, 3, AFTER),
        AskedUpstream(other, -1, N_TO_N),
        AskedUpstream(None, -1, SEQUENTIAL),
        AskedUpstream(other, -1, AFTER),
    )
    assert submit(dependsOn=[{"jobId": other}]).size == 0


# -- notices ---------------------------------------------------------------------------------------------------------

UNHONOURED = {
    "executionRoleArn": "arn:aws:iam::1:role/execution",
    "enableExecuteCommand": True,
    "instanceType": "m5.large",
}


def test_every_member_that_no_executor_honours_is_named_and_kept():
    job = body(submit(compiled(UNHONOURED)))
    for member in UNHONOURED:
        assert any(notice.startswith(member) for notice in job["notices"]), member
    assert len(job["notices"]) == len(UNHONOURED)
    assert {name: job["container"][name] for name in UNHONOURED} == UNHONOURED


def test_what_asks_for_nothing_is_not_named():
    nothing = {"volumes": [], "privileged": False, "linuxParameters": {}, "user": "", "environment": []}
    assert body(submit(compiled(nothing)))["notices"] == []


@pytest.mark.parametrize(
    ("container", "word"),
    [
        ({"logConfiguration": {"logDriver": "json-file"}}, "json-file is not used"),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-region": "eu-west-1"}}},
            "awslogs-region=eu-west-1",
        ),
        ({"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]}, "AWS_BATCH_JOB_ID is reserved"),
        (
            {"volumes": [{"efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}}]},
            "transitEncryption has no effect",
        ),
        ({"resourceRequirements": [*NEEDS, {"type": "GPU", "value": "2"}]}, "2 asked, this machine lends 0"),
    ],
)
def test_other_notices(container, word):
    assert any(word in notice for notice in body(submit(compiled(container)))["notices"])


def test_plain_awslogs_and_gpus_that_are_there_need_no_notice():
    options = {"awslogs-group": "/mine", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}
    container = {
        "logConfiguration": {"logDriver": "awslogs", "options": options},
        "resourceRequirements": [*NEEDS, {"type": "GPU", "value": "2"}],
    }
    assert body(submit(compiled(container), at={"gpus": 2}))["notices"] == []


def asks(**quantities):
    return {"consumableResourceList": [{"consumableResource": n, "quantity": q} for n, q in quantities.items()]}


def test_a_job_asks_for_what_its_definition_asks_for_unless_it_says_how_much():
    definition = compiled(consumableResourceProperties=asks(a=1, b=2))
    assert submit(definition).consumables == (("a", 1), ("b", 2))
    job = submit(definition, consumableResourcePropertiesOverride=asks(b=5, c=3))
    assert job.consumables == (("a", 1), ("b", 5), ("c", 3))
    assert body(job)["consumableResourceProperties"] == asks(a=1, b=5, c=3)
    assert submit(compiled()).consumables == ()


def test_a_resource_is_the_same_by_name_and_by_arn():
    arn = f"arn:aws:batch:{REGION}:{ACCOUNT}:consumable-resource/a"
    definition = compiled(consumableResourceProperties=asks(**{arn: 1}))
    job = submit(definition, consumableResourcePropertiesOverride=asks(a=4))
    assert job.consumables == (("a", 4),)
    assert body(job)["consumableResourceProperties"] == asks(**{arn: 4}), "shown as the definition wrote it"


def test_an_override_may_not_make_it_more_than_five():
    definition = compiled(consumableResourceProperties=asks(a=1, b=1, c=1))
    with pytest.raises(ClientError, match="at most 5 consumableResources"):
        submit(definition, consumableResourcePropertiesOverride=asks(d=1, e=1, f=1))


def test_a_small_request_cannot_become_a_huge_command():
    many = ["Ref::a " * 3000]
    assert len(parameters.substitute(many, {"a": "x" * 40})[0]) == 3000 * 41
    with pytest.raises(ClientError, match="longer than 131072 characters"):
        parameters.substitute(many, {"a": "x" * 30_000})


def test_tags_of_the_task_are_the_definitions_and_the_jobs_which_win():
    at = {"definition_tags": lambda: {"a": "definition", "b": "definition"}}
    asked = {"tags": {"b": "job"}, "propagateTags": True}
    assert body(submit(at=at, **asked))["taskTags"] == {"a": "definition", "b": "job"}
    assert "taskTags" not in body(submit(at=at, **asked | {"propagateTags": False}))
    fifty = body(submit(at={"definition_tags": lambda: {f"k{n}": "" for n in range(49)}}, **asked))
    assert len(fifty["taskTags"]) == 50 and "refused" not in fifty
    more = body(submit(at={"definition_tags": lambda: {f"k{n}": "" for n in range(50)}}, **asked))
    assert more["refused"].startswith("the tags of the job definition and of the job are 51 together")


FAIR = {"fair_share": True}


def test_a_share_and_a_priority_belong_to_queues_with_a_scheduling_policy():
    text = "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue with fair share scheduling"
    for members in ({"shareIdentifier": "a"}, {"schedulingPriorityOverride": 3}):
        with pytest.raises(ClientError, match=text):
            submit(**members)
    job = submit(compiled(schedulingPriority=7))
    assert (job.share, job.priority) == (None, 0), "the priority of a definition is not used there"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "shareIdentifier must be specified."),
        ({"shareIdentifier": ""}, "shareIdentifier must be specified."),
        ({"shareIdentifier": "a b"}, "ShareIdentifier name should match a valid pattern."),
        ({"shareIdentifier": "a" * 256}, "ShareIdentifier name should match a valid pattern."),
        (
            {"shareIdentifier": "a"},
            "Either schedulingPriority in job definition or schedulingPriorityOverride should be specified.",
        ),
        (
            {"shareIdentifier": "a", "schedulingPriorityOverride": 10_000},
            "Scheduling priority must be between 0 and 9999.",
        ),
        ({"shareIdentifier": "a", "schedulingPriorityOverride": -1}, "Scheduling priority must be between 0 and 9999."),
    ],
)
def test_what_a_queue_with_a_scheduling_policy_refuses(members, text):
    with pytest.raises(ClientError) as refused:
        submit(at=FAIR, **members)
    assert str(refused.value).startswith(text)


def test_the_priority_of_the_submission_wins_over_the_definition():
    definition = compiled(schedulingPriority=7)
    job = submit(definition, at=FAIR, shareIdentifier="a")
    assert (job.share, job.priority, body(job)["schedulingPriority"]) == ("a", 7, 7)
    job = submit(definition, at=FAIR, shareIdentifier="team-1_x*", schedulingPriorityOverride=0)
    assert (job.share, job.priority, body(job)["schedulingPriority"]) == ("team-1_x*", 0, 0)
