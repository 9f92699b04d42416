"""`batchyard serve` up to the door of the server: settings in, words out."""

from __future__ import annotations

import os

import pytest

from batchyard import config
from batchyard.cli.serve import greeting, serve
from batchyard.server import failures, start


@pytest.fixture
def served(monkeypatch):
    """The settings that reached the server, which answers at once and ends with 0."""
    seen = {}

    def stand_in(settings, ready):
        seen.update(settings=settings)
        ready("http://127.0.0.1:4321")
        return 0

    monkeypatch.setattr(start, "serve", stand_in)
    return seen


def test_every_setting_is_a_flag_and_nothing_else_is():
    flags = {option.name for option in serve.params}
    assert flags == {setting.name for setting in config.SETTINGS} | {"config_file"}


def test_flags_reach_the_server_checked(batchyard, served, tmp_path):
    data = str(tmp_path / "d")
    result = batchyard("serve", "--data", data, "--port", "0", "--process-pass-env", "A,B", "--quit-runner")
    assert result.exit_code == 0, result.output
    settings = served["settings"]
    assert (settings.data, settings.port, settings.process_pass_env) == (data, 0, ("A", "B"))
    assert settings.quit_runner is True
    assert result.stdout == greeting("http://127.0.0.1:4321", data) + "\n"
    assert f"batchyard env --data {data}" in result.stdout


def test_flags_win_over_the_environment_and_the_file(batchyard, served, environ, tmp_path):
    (tmp_path / "s.toml").write_text('port = 1\nvcpus = 3\naccount = "111111111111"\n')
    environ.setenv("BATCHYARD_PORT", "2")
    environ.setenv("BATCHYARD_VCPUS", "4")
    batchyard("serve", "--config", str(tmp_path / "s.toml"), "--port", "3")
    settings = served["settings"]
    assert (settings.port, settings.vcpus, settings.account) == (3, 4, "111111111111")


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [("--port", "70000", "must be a port"), ("--host", "0.0.0.0", "loopback"), ("--account", "12", "12 digits")],
)
def test_a_value_that_cannot_be_is_named_with_its_setting(batchyard, served, flag, value, words):
    result = batchyard("serve", flag, value)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"batchyard: flags: {flag[2:]} = '{value}'")
    assert words in result.stderr
    assert not served


@pytest.mark.parametrize("error", failures.ALL)
def test_what_keeps_the_server_from_starting_is_said_without_a_traceback(batchyard, monkeypatch, error):
    def refuse(*_):
        raise error("Somebody else is here.", "Go elsewhere.")

    monkeypatch.setattr(start, "serve", refuse)
    result = batchyard("serve")
    assert (result.exit_code, result.stdout) == (error.exit_code, "")
    assert result.stderr == "batchyard: Somebody else is here.\n  Go elsewhere.\n"


def test_each_failure_has_an_exit_code_of_its_own():
    codes = [error.exit_code for error in failures.ALL]
    assert len(set(codes)) == len(codes) and not {0, 2} & set(codes)


def test_the_default_data_directory_needs_no_flag(environ):
    assert "--data" not in greeting("http://x", config.default_data(os.environ))


def test_a_variable_that_is_no_setting_is_pointed_out(batchyard, served, environ):
    environ.setenv("BATCHYARD_PROT", "1")
    result = batchyard("serve")
    assert result.exit_code == 0
    assert result.stderr == "batchyard: BATCHYARD_PROT is set and is no setting: did you mean port?\n"
