"""Is the scheduler that runs jobs the one that a simulation runs? Three hundred real jobs, and the same under a virtual
clock: the same starts in the same order."""

from __future__ import annotations

import random

from bench import virtual

from batchyard.model.ids import WHOLE
from tests.harness.site import Site

SEED = 20261128
ROLE = "arn:aws:iam::123456789012:role/batch"
INSTANCES = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceTypes": ["c5.large", "c5.xlarge", "m5.2xlarge"],
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
}


def furnish(batch) -> list[str]:
    """Three queues of different priority over instances and the machine itself."""
    batch.create_compute_environment(computeEnvironmentName="instances", type="MANAGED", computeResources=INSTANCES)
    batch.create_compute_environment(computeEnvironmentName="machine", type="UNMANAGED", serviceRole=ROLE)
    orders = {"low": ["instances"], "middle": ["machine", "instances"], "high": ["instances", "machine"]}
    for priority, (name, environments) in enumerate(orders.items(), 1):
        order = [{"order": number, "computeEnvironment": each} for number, each in enumerate(environments)]
        batch.create_job_queue(jobQueueName=name, priority=priority, computeEnvironmentOrder=order)
    return list(orders)


def submit_all(site: Site, queues: list[str], gate: str, rng: random.Random) -> list[str]:
    """150 single jobs and 15 arrays of 10 that sleep for up to 0.4 s, once the gate opens."""
    site.definition("sleeps", "sleep", "0.1")
    jobs = []
    for number in range(165):
        needs = [
            {"type": "VCPU", "value": str(rng.choice([1, 1, 2, 4]))},
            {"type": "MEMORY", "value": str(rng.choice([256, 2000, 7000]))},
        ]
        overrides = {"command": ["sleep", f"{rng.uniform(0.02, 0.4):.3f}"], "resourceRequirements": needs}
        more = {"arrayProperties": {"size": 10}} if number % 11 == 0 else {}
        jobs.append(
            site.submit(rng.choice(queues), "sleeps", dependsOn=[{"jobId": gate}], containerOverrides=overrides, **more)
        )
    return jobs


def test_300_real_jobs_start_in_the_order_in_which_they_do_under_a_virtual_clock(tmp_path):
    """All wait for one gate; from then on what ends when is the machine's doing, and who starts is ours."""
    site = Site(tmp_path / "data", "--vcpus", "24", "--memory", "65536").start()
    try:
        queues = furnish(site.client("batch"))
        site.definition("gate", "sh", "-c", f"until [ -e {tmp_path}/open ]; do sleep 0.05; done")
        gate = site.submit("middle", "gate")
        jobs = submit_all(site, queues, gate, random.Random(SEED))
        (tmp_path / "open").touch()
        assert {site.finished(job, timeout_s=120)["status"] for job in jobs} == {"SUCCEEDED"}
        site.stop()
        workload, real = virtual.recorded(site.data)
    finally:
        site.destroy()
    assert len(real.starts) == 301
    # The gate may have begun late on a busy machine; it must not end before all that wait for it have come.
    late_ms = real.starts[0].at_ms - workload.requests[0][0]
    ran_ms = real.ran_ms | {(real.starts[0].job, WHOLE): real.ran_ms[real.starts[0].job, WHOLE] + late_ms}
    simulated = virtual.run(workload, lambda job, index: ran_ms[job, index])
    order = [(start.job, start.index) for start in real.starts]
    assert [(start.job, start.index) for start in simulated.starts] == order, f"seed {SEED}"
    assert order != sorted(order), "priorities and sizes have made them start in another order than they came in"
