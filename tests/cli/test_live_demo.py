"""The demo from beginning to end: a real server, real jobs, a picture, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchyard.cli import demo_stages
from batchyard.relief import model, sheet
from tests.harness.site import Site
from tests.relief import reading


def _demo(tmp_path: Path, *flags: str, before: str = "") -> subprocess.Popen:
    """The demo with `tmp_path` for everything; `before` is Python that is run first."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    program = f"from batchyard.cli import demo, demo_stages\n{before}\nfrom batchyard.cli.main import main; main()"
    typed = [sys.executable, "-c", program, "demo", *flags]
    return subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=tmp_path)


def _left_of(tmp_path: Path) -> list[str]:
    """Command lines of processes that have anything of `tmp_path` open or on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            seen = [(entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")]
            seen += [os.readlink(each) for each in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(str(tmp_path) in text for text in seen):
            found.append(seen[0])
    return found


def _instead(tmp_path: Path, program: str) -> str:
    """Python to run before the demo, so that its jobs find this program where the package should be."""
    place = tmp_path / "instead" / "batchyard"
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    (place / "relief.py").write_text(program)
    return f"import batchyard; batchyard.__file__ = {str(place / '__init__.py')!r}"


def _nothing_left(tmp_path: Path) -> None:
    assert _left_of(tmp_path) == []
    assert list(tmp_path.glob("batchyard-demo-*")) == []


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a whole demo has said, and where: with --keep, for a look at how the jobs ran."""
    place = tmp_path_factory.mktemp("demo")
    with _demo(place, "--keep", "--output", "made/here") as demo:
        said, complained = demo.communicate(timeout=300)
    assert (demo.returncode, complained) == (0, "")
    assert _left_of(place) == []
    return said, place


def test_the_demo_makes_the_picture_where_it_says(shown):
    said, place = shown
    path = Path(re.search(r"^The picture: (.+)$", said, re.M)[1])
    assert path == place / "made" / "here" / "jacksboro-fault.png"
    assert list(path.parent.iterdir()) == [path]
    picture = reading.picture(path.read_bytes())
    land = model.read()
    assert (picture.width, picture.height) == (sheet.width(land), land.height + sheet.MARGIN + sheet.FOOT)
    colours = {picture.at(x, y) for x in range(0, picture.width, 7) for y in range(0, picture.height, 7)}
    assert len(colours) > 5000


def test_the_demo_tells_what_it_did(shown):
    said, _ = shown
    assert "C shade    array of 16  each after A and its B" in said
    for line in ("A survey: 1 of 1 done", "D draw: 16 of 16 done", "F figures: 1 of 1 done"):
        assert line in said
    assert re.search(r"^  1,000 m  █?.? \d\.\d %$", said, re.M)
    charted = re.findall(r"^  (\w[ \w]*?) +(\d+) jobs? .*[▁▂▃▄▅▆▇█]", said, re.M)
    assert charted == [(stage.name, str(stage.size)) for stage in demo_stages.STAGES] + [("all", "51")]
    assert re.search(r"^51 jobs ran on this machine, container instance [0-9a-f]{32}\.$", said, re.M)
    assert re.search(r"^51 jobs, up to \d+ at once: .* of running in .*; the first ran \d+ ms after", said, re.M)
    assert re.search(r"^The longest chain .*: [A-D] .*, D draw \d+, E picture: ", said, re.M)


def test_no_stage_ran_before_what_it_waits_for(shown):
    """By the stored times of all 51 jobs: the demo's data is kept, and a server goes on from there."""
    said, place = shown
    kept = Path(re.search(r"^Kept: (\S+)", said, re.M)[1])
    site = Site(kept / "data").start()
    try:
        ran = {}
        parents = {job["jobName"]: job for job in _all_jobs(site)}
        assert list(parents) == [stage.step for stage in demo_stages.STAGES]  # submitted in this order
        for stage in demo_stages.STAGES:
            parent = parents[stage.step]["jobId"]
            ids = [f"{parent}:{index}" for index in range(stage.size)] if stage.is_array else [parent]
            for index, job in enumerate(site.client("batch").describe_jobs(jobs=ids)["jobs"]):
                assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 1)
                ran[stage.letter, index] = (job["startedAt"], job["stoppedAt"])
    finally:
        site.destroy()
    assert len(ran) == 51
    for index in range(demo_stages.CHILDREN):
        assert ran["C", index][0] >= max(ran["A", 0][1], ran["B", index][1])
        assert ran["D", index][0] >= ran["C", index][1]
        assert ran["D", index][1] <= min(ran["E", 0][0], ran["F", 0][0])
    assert max(job["createdAt"] for job in parents.values()) < ran["C", 0][0]  # all submitted before the middle began


def _all_jobs(site: Site) -> list[dict]:
    listed = site.client("batch").list_jobs(jobQueue="default", jobStatus="SUCCEEDED")["jobSummaryList"]
    return sorted(listed, key=lambda job: job["createdAt"])


def test_the_next_commands_work_as_printed(shown, tmp_path):
    said, _ = shown
    commands = re.search(r"^Next, .*:\n\n((?:  .+\n?)+)", said, re.M)[1].splitlines()
    assert len(commands) == 3
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BATCHYARD_PORT": "0"}
    environ |= {"BATCHYARD_DATA": str(tmp_path / "data"), "BATCHYARD_QUIT_RUNNER": "true"}
    serve, *others = (["sh", "-c", f"exec {command.strip()}"] for command in commands)
    with subprocess.Popen(serve, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        server.stdout.readline()
        try:
            array, listed = (
                subprocess.run(each, env=environ, cwd=tmp_path, capture_output=True, text=True) for each in others
            )
        finally:
            server.terminate()
    assert (array.returncode, listed.returncode) == (0, 0), array.stderr + listed.stderr
    assert "8 of 8 done" in array.stderr
    assert re.search(r"^\S+ +sh +default +SUCCEEDED .* 8 of 8 done$", listed.stdout, re.M)


@pytest.mark.long
def test_a_job_that_is_killed_is_tried_again_and_the_picture_is_the_same(shown, tmp_path):
    """Child 3 of `shade` leaves half a file and dies by SIGKILL; its second attempt is as good as any."""
    program = (
        "import os, runpy, signal, sys\n"
        f"sys.path.insert(0, {str(Path(demo_stages.__file__).parents[2])!r})\n"
        "del sys.modules['batchyard']\n"
        "step, index = sys.argv[1], os.environ.get('AWS_BATCH_JOB_ARRAY_INDEX')\n"
        "if (step, index, os.environ['AWS_BATCH_JOB_ATTEMPT']) == ('shade', '3', '1'):\n"
        "    from batchyard.relief.folder import Folder\n"
        "    from pathlib import Path\n"
        "    def killed(self, target): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    Path.replace = killed\n"
        "runpy.run_module('batchyard.relief', run_name='__main__', alter_sys=True)\n"
    )
    with _demo(tmp_path, before=_instead(tmp_path, program)) as demo:
        said, complained = demo.communicate(timeout=300)
    assert (demo.returncode, complained) == (0, ""), said
    assert "C shade: 16 of 16 done" in said
    (made,) = (tmp_path / "demo-output").iterdir()
    assert made.name == "jacksboro-fault.png"
    assert made.read_bytes() == (shown[1] / "made" / "here" / made.name).read_bytes()
    _nothing_left(tmp_path)


def test_ctrl_c_in_the_demo_cleans_up(tmp_path):
    with _demo(tmp_path) as demo:
        assert "answers at" in demo.stdout.readline()
        time.sleep(0.3)
        demo.send_signal(signal.SIGINT)
        _, complained = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "interrupted" in complained
    _nothing_left(tmp_path)
    assert not (tmp_path / "demo-output").exists()


def test_a_demo_whose_jobs_fail_says_why_and_fails(tmp_path):
    before = _instead(tmp_path, "import sys\nif sys.argv[1] == 'refine': raise SystemExit('there are no mountains')")
    with _demo(tmp_path, before=before) as demo:
        said, complained = demo.communicate(timeout=120)
    assert demo.returncode == 1
    assert "A survey: 1 of 1 done\n" in said
    assert "B refine: 16 of 16 done, 16 failed" in said
    assert "E picture: 1 of 1 done, 1 failed" in said
    assert "16 of 16 jobs FAILED: Array Child Job failed" in complained
    assert "there are no mountains" in said
    _nothing_left(tmp_path)


def test_a_demo_in_which_nothing_happens_gives_up_and_ends_what_runs(tmp_path):
    before = _instead(tmp_path, "import time; time.sleep(99)") + "\ndemo.STALL_WAIT_S = 1"
    with _demo(tmp_path, before=before) as demo:
        _, complained = demo.communicate(timeout=120)
    assert demo.returncode == 1
    assert "nothing has happened" in complained
    assert re.search(r"A: 1 RUNNING; B: .*; C: 16 PENDING; D: 16 PENDING; E: 1 PENDING; F: 1 PENDING", complained)
    _nothing_left(tmp_path)


def test_a_place_where_nothing_can_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with _demo(tmp_path, "--output", "file/below") as demo:
        said, complained = demo.communicate(timeout=60)
    assert (demo.returncode, said) == (1, "")
    assert complained == (
        f"batchyard: The picture cannot be written to {tmp_path}/file/below: {tmp_path}/file is no directory.\n"
        "  Name another directory: --output DIR.\n"
    )
