"""The status of managed environments: what operators are told while one is updated, and why nothing can run in one."""

from __future__ import annotations

from batchyard.model.environments import FARGATE, UPDATED, Capacity, HeldInstance, InstanceType, Leaving
from batchyard.model.needs import Needs
from batchyard.store.health import status

ROOM = Needs(4000, 8192)
LARGE = InstanceType("c5.4xlarge", Needs(16_000, 32_768), 31_000, 1, 1, 0)
SMALL = InstanceType("c5.large", Needs(2000, 4096), 3900, 1, 1, 0)
FITS = Capacity("EC2", 64_000, types=(LARGE, SMALL))


def instance(leaving=None) -> HeldInstance:
    return HeldInstance(1, "i-1", 1, "c5.large", SMALL.room, 3900, 1, 1, 1, leaving=leaving)


def test_what_can_run_jobs_is_valid():
    assert status("local", FITS, ROOM, True, [instance()]) == ("VALID", None)
    assert status("local", Capacity(FARGATE, 4000), ROOM, True, []) == ("VALID", None)
    assert status("local", Capacity("EC2", 4000, types=(LARGE,), carves=True), ROOM, True, []) == ("VALID", None)


def test_it_is_updating_until_the_engine_knows_and_old_instances_are_gone():
    assert status("local", FITS, ROOM, False, [])[0] == "UPDATING"
    found, reason = status("local", FITS, ROOM, True, [instance(), instance(Leaving(5, 6, UPDATED))])
    assert found == "UPDATING" and "1 of its instances go when the jobs on them end" in reason
    assert status("local", FITS, ROOM, True, [instance(Leaving(5, 6, "Spot"))]) == ("VALID", None)


def test_where_no_type_fits_the_machine_it_is_invalid_and_says_what_to_do():
    found, reason = status("local", Capacity("EC2", 64_000, types=(LARGE,)), ROOM, True, [])
    assert found == "INVALID" and reason == (
        "CLIENT_ERROR - None of the instance types fits this machine, which has 4 vCPUs, 8192 MiB: the smallest of "
        "them, c5.4xlarge, has 16 vCPUs, 32768 MiB. Allow smaller instanceTypes, or optimal, with "
        "UpdateComputeEnvironment."
    )


def test_where_its_provider_is_gone_it_is_invalid():
    found, reason = status("slurm", FITS, None, True, [])
    assert found == "INVALID" and "no provider slurm" in reason
