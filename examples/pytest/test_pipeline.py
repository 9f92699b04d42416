"""Tests of pipeline.py: the jobs really run."""

import pipeline


def test_parts_are_added_up(queue, tmp_path):
    part = pipeline.define("part", ["sh", "-c", f"cd {tmp_path} && seq 10 >part.$AWS_BATCH_JOB_ARRAY_INDEX"])
    total = pipeline.define("total", ["sh", "-c", f"cd {tmp_path} && cat part.* | wc -l >total"])
    _, last = pipeline.run_in_parts(queue, part, total, parts=4)
    assert pipeline.ended(last)["status"] == "SUCCEEDED"
    assert (tmp_path / "total").read_text() == "40\n"


def test_a_failed_part_keeps_the_total_from_running(queue):
    part = pipeline.define("bad", ["sh", "-c", "test $AWS_BATCH_JOB_ARRAY_INDEX != 2"])
    total = pipeline.define("never", ["true"])
    array, last = pipeline.run_in_parts(queue, part, total, parts=4)
    assert pipeline.ended(last)["statusReason"] == "Dependent Job failed"
    assert pipeline.ended(array)["arrayProperties"]["statusSummary"]["FAILED"] == 1
