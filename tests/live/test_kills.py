"""`kill -9` of every process in the middle of an array: no child is lost, none runs twice, logs are whole."""

from __future__ import annotations

import pytest

SIZE = 100


def start_array(site, out):
    queue = site.queue("kills")
    site.definition(
        "append",
        "sh",
        "-c",
        f"echo child $AWS_BATCH_JOB_ARRAY_INDEX; sleep 0.05; echo $AWS_BATCH_JOB_ARRAY_INDEX >> {out}",
    )
    job = site.submit(queue, "append", arrayProperties={"size": SIZE})
    site.wait_for(
        lambda: out.exists() and len(out.read_text().split()) >= SIZE // 10, "a tenth of the children is done"
    )
    return job


def check_whole(site, job, out):
    detail = site.finished(job, timeout_s=120)
    ran = sorted(map(int, out.read_text().split()))
    assert ran == list(range(SIZE)), "each child ran exactly once"
    assert detail["status"] == "SUCCEEDED", detail["statusReason"]
    assert detail["arrayProperties"]["statusSummary"]["SUCCEEDED"] == SIZE
    for index in range(0, SIZE, 7):
        child = site.describe(f"{job}:{index}")
        assert site.output(child) == f"child {index}\n"
        assert len(child["attempts"]) == 1


@pytest.mark.parametrize(
    "roles", [["api"], ["engine"], ["runner"], ["serve"], ["serve", "api", "engine", "runner"]], ids="+".join
)
def test_killed_in_the_middle_of_an_array(fresh_site, tmp_path, roles):
    site, out = fresh_site, tmp_path / "lines"
    job = start_array(site, out)
    victims = [pid for role in roles for pid in site.pids(role)]
    assert len(victims) == len(roles), f"{roles} are processes {victims}"
    for pid in victims:
        site.kill(pid)
    if "serve" in roles:
        site.process.wait()
        site.start()
    site.wait_for(site.answers, "the server answers again")
    check_whole(site, job, out)
