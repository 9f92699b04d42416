"""The group: what --help says, and that nothing slow is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from batchyard.cli.main import COMMANDS, _load


def test_every_command_in_the_table_can_be_loaded_and_has_its_own_help(batchyard):
    for name in COMMANDS:
        assert _load(name).name == name
        result = batchyard(name, "--help")
        assert result.exit_code == 0, result.output
        assert f"Usage: batchyard {name}" in result.output


def test_help_lists_the_commands_in_the_order_of_a_first_visit(batchyard):
    lines = batchyard("--help").output.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in COMMANDS]
    assert listed == list(COMMANDS)


def test_an_unknown_command_is_a_usage_error(batchyard):
    result = batchyard("frobnicate")
    assert result.exit_code == 2
    assert "frobnicate" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["env"]], ids=" ".join)
def test_starting_does_not_import_what_is_slow(arguments):
    """rich, msgspec and the server stay out of commands that do not need them."""
    script = (
        "import sys\n"
        "from batchyard.cli.main import cli\n"
        f"cli({arguments!r}, standalone_mode=False)\n"
        "print(sorted({'rich', 'msgspec', 'uvicorn', 'batchyard.server', 'batchyard.wire'} & set(sys.modules)))"
    )
    environ = {"BATCHYARD_ENDPOINT": "http://127.0.0.1:1", "BATCHYARD_ACCESS_KEY_ID": "A", "PATH": "/usr/bin:/bin"}
    environ["BATCHYARD_SECRET_ACCESS_KEY"] = "B"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
