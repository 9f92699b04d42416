"""Entry of a job: ``python -m batchyard.relief STEP FOLDER STRIPS``.

A step that does one strip learns which from AWS_BATCH_JOB_ARRAY_INDEX, as every child of an array does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from batchyard.relief import model, steps
from batchyard.relief.folder import Folder


def main(step: str, folder: str, strips: str) -> None:
    """Do one step, and say what was done."""
    sys.stdout.reconfigure(encoding="utf-8")
    given = Folder(Path(folder)), model.read(), int(strips)
    if step in steps.EACH_STRIP:
        print(steps.EACH_STRIP[step](*given, int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])))
    else:
        print(steps.WHOLE[step](*given))


if __name__ == "__main__":
    main(*sys.argv[1:])
