"""The six steps, from folder to folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import batchyard
from batchyard.relief import folder, model, sheet, steps
from batchyard.relief.folder import Folder
from tests.relief import reading
from tests.relief.lands import piece


def drawn(path: Path, land: model.Model, strips: int) -> Folder:
    """All six steps in one process."""
    path.mkdir()
    made = Folder(path)
    steps.survey(made, land, strips)
    for step in steps.EACH_STRIP.values():
        for number in reversed(range(strips)):  # any order will do
            step(made, land, strips, number)
    steps.picture(made, land, strips)
    steps.counted(made, land, strips)
    return made


@pytest.fixture(scope="module")
def land():
    """A piece with a lake, streams and the beginning of a name."""
    return piece(225, 150, 60, 45)


def test_the_picture_is_the_same_whatever_the_strips(tmp_path, land, monkeypatch):
    """One strip, sixteen, and one for each row or less: not a pixel differs, so no seam can be seen."""
    monkeypatch.setattr(steps, "JOBS", "THE SAME")  # the sheet tells how many jobs drew it
    pictures = [
        reading.picture(drawn(tmp_path / str(strips), land, strips).read(folder.PICTURE)) for strips in (1, 16, 61)
    ]
    assert pictures[0].width == sheet.width(land)
    assert pictures[0].height == land.height + sheet.MARGIN + sheet.FOOT
    assert len(set(pictures[0].pixels)) > 100
    assert pictures[1].pixels == pictures[0].pixels
    assert pictures[2].pixels == pictures[0].pixels
    texts = [(tmp_path / strips / folder.FIGURES).read_text() for strips in ("1", "16", "61")]
    assert texts[0] == texts[1] == texts[2]


def test_the_figures_say_what_the_land_is(tmp_path, land):
    text = drawn(tmp_path / "w", land, 3).read(folder.FIGURES).decode()
    lowest, highest = min(land.metres), max(land.metres)
    assert f"{60 * 45:,} measured elevations, {lowest} to {highest} m, became {land.width * land.height:,}" in text
    assert "km² of lakes" in text


def test_a_preview_is_a_small_picture_of_the_map(tmp_path, land):
    made = drawn(tmp_path / "w", land, 2)
    header, _, pixels = made.read(folder.PREVIEW).partition(b"\n")
    width, height = map(int, header.split()[1:3])
    assert (width, height % 2) == (steps.PREVIEW_WIDTH, 0)
    assert len(pixels) == 3 * width * height
    assert abs(width / height - land.width / land.height) < 0.1


def test_as_a_job_runs_it(tmp_path, land):
    """Real processes on the real model: a whole step, and one child of each array."""
    environ = {"PYTHONPATH": str(Path(batchyard.__file__).parents[1])}
    for step in ("survey", "refine", "shade", "draw"):
        subprocess.run(
            [sys.executable, "-P", "-m", "batchyard.relief", step, str(tmp_path), "64"],
            env=environ | {"AWS_BATCH_JOB_ARRAY_INDEX": "40"},
            check=True,
            capture_output=True,
            cwd=tmp_path,
        )
    rows = len(model.read().strip(40, 64))
    assert (tmp_path / "shaded-40").stat().st_size == 3 * rows * model.read().width
    assert Folder(tmp_path).read_facts("counted-40")["part"][0] == rows
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    """A writer is killed again and again while it writes; whoever reads sees one of the whole contents."""
    big = 3_000_000
    program = (
        "import sys\nfrom pathlib import Path\nfrom batchyard.relief.folder import Folder\n"
        f"print('up', flush=True)\nwhile True: Folder(Path(sys.argv[1])).write('x', sys.argv[2].encode() * {big})"
    )
    environ = {"PYTHONPATH": str(Path(batchyard.__file__).parents[1])}
    for letter in "abcd":
        with subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(tmp_path), letter], env=environ, stdout=subprocess.PIPE
        ) as writer:
            writer.stdout.readline()
            while not (tmp_path / "x").exists() and writer.poll() is None:
                time.sleep(0.001)
            writer.kill()
        content = (tmp_path / "x").read_bytes()
        assert len(content) == big
        assert len(set(content)) == 1
