"""The demo's script: it counts real sources right, and the parts add up to the whole."""

from __future__ import annotations

import subprocess
import sys

from batchyard.cli import demo_job

SOURCE = """\
from __future__ import annotations
import os, os.path as p
import sys
from collections.abc import Iterable
from . import here
from .near import by

class A:
    import re
    async def f(self): pass
    def g(self): return lambda: None
"""


def test_what_is_counted(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    (tmp_path / "b.py").write_text("import os\n")
    (tmp_path / "template.py").write_text("import {{name}}\nthis is no python\n")
    counted = demo_job.count(sorted(tmp_path.iterdir()))
    assert counted["totals"] == {"files": 2, "lines": 12, "functions": 2, "classes": 1, "unreadable": 1}
    assert counted["imported"] == {"os": 2, "sys": 1, "collections": 1, "re": 1}


def test_the_corpus_is_the_standard_library_without_its_tests():
    files = demo_job.corpus()
    names = {path.name for path in files}
    assert {"ast.py", "subprocess.py", "socket.py"} <= names
    assert len(files) > 300
    assert not any({"site-packages", "test"} & set(path.parts) for path in files)
    assert files == demo_job.corpus()


def test_the_children_s_parts_add_up_to_the_whole(tmp_path):
    """As jobs run it: a script on its own, each child told by its index, then the gathering one."""
    children = 3
    for index in range(children):
        environ = {"AWS_BATCH_JOB_ARRAY_INDEX": str(index)}
        subprocess.run(_script("count", tmp_path, children), env=environ, check=True, capture_output=True)
    said = subprocess.run(_script("gather", tmp_path, children), env={}, check=True, capture_output=True).stdout
    whole = demo_job.count(demo_job.corpus())
    assert said.decode() == demo_job.chart(whole) + "\n"
    most = whole["imported"].most_common(1)[0]
    assert f"{most[0]} {'█' * demo_job.BAR_WIDTH} {most[1]}" in said.decode()


def _script(step, directory, children):
    return [sys.executable, "-I", demo_job.__file__, step, str(directory), str(children)]
