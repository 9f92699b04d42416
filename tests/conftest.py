"""What holds for all tests: where CI is set, random tests draw the same examples each time, so that a build that was
green stays so; everywhere else they draw new ones, and find what nobody has seen yet."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

pytest_plugins = ["tests.engines.fixtures"]
