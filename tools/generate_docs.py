"""Writes the pages of docs/ that are made from the code; run by `make docs`. What they say is derived, never edited.

python tools/generate_docs.py           write the pages
python tools/generate_docs.py --check   exit 1 if a page differs from what would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from reference import cli, environment, errors, metrics, operations, routes, settings, states, verdicts

ROOT = Path(__file__).resolve().parent.parent
PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": cli.page,
    "docs/reference/settings.md": settings.page,
    "docs/reference/operations.md": operations.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/job-environment.md": environment.page,
    "docs/reference/routes.md": routes.page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/explanations.md": verdicts.page,
    "docs/internals/states.md": states.page,
}


def stale() -> list[str]:
    """Pages that are not what would be written."""
    return [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page would change")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is not what the code says: run `make docs`", file=sys.stderr)
        return 1 if stale() else 0
    for name, page in PAGES.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(page())
    print(f"{len(PAGES)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
