"""`batchyard config`: what is in force and where it comes from; secrets stay where they are."""

from __future__ import annotations

import json

from batchyard import config


def test_each_setting_with_its_value_and_its_origin(batchyard, environ, tmp_path):
    (tmp_path / "s.toml").write_text('account = "111111111111"\nprocess_pass_env = ["A", "B"]\n')
    environ.setenv("BATCHYARD_VCPUS", "4")
    result = batchyard("config", "--config", "s.toml", "--port", "0", "--quit-runner")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"Settings file: {tmp_path / 's.toml'}"
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[3:]}
    assert list(rows) == [setting.name for setting in config.SETTINGS]
    assert rows["port"].split() == ["0", "--port"]
    assert rows["vcpus"].split() == ["4", "BATCHYARD_VCPUS"]
    assert rows["account"].split() == ['"111111111111"', "s.toml"]
    assert rows["process_pass_env"].split("  ")[0] == '["A", "B"]'
    assert rows["quit_runner"].split() == ["true", "--quit-runner"]
    assert rows["gpus"].split() == ["-1", "default"]


def test_json_for_programs(batchyard, environ, tmp_path):
    environ.setenv("BATCHYARD_PROT", "1")
    told = json.loads(batchyard("config", "--no-quit-runner", "--json").stdout)
    assert told["file"] is None and told["notSettings"] == ["BATCHYARD_PROT"]
    assert told["settings"]["quit_runner"] == {"value": False, "from": "--quit-runner"}
    assert told["settings"]["process_pass_env"] == {"value": [], "from": "default"}
    assert list(told["settings"]) == [setting.name for setting in config.SETTINGS]


def test_secrets_are_not_shown(batchyard, environ, monkeypatch):
    rows = tuple(row._replace(secret=True) if row.name == "process_path" else row for row in config.SETTINGS)
    monkeypatch.setattr(config, "SETTINGS", rows)
    environ.setenv("BATCHYARD_PROCESS_PATH", "/hunter2")
    for flags in ((), ("--json",)):
        said = batchyard("config", *flags).output
        assert "hunter2" not in said and "(not shown)" in said and "BATCHYARD_PROCESS_PATH" in said
        assert "a-secret" not in said


def test_a_setting_that_cannot_be_ends_it_as_it_ends_serve(batchyard):
    for command in ("config", "serve"):
        result = batchyard(command, "--port", "x")
        assert result.exit_code == 2
        assert result.stderr.splitlines()[0] == "batchyard: flags: port = 'x' must be a whole number."
