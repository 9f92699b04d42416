"""``batchyard serve``: the server in the foreground. Its flags are the rows of ``config.SETTINGS``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

import click

import batchyard
from batchyard import config
from batchyard.cli.client import Problem


def _setting_options(command: Callable) -> Callable:
    for setting in reversed(config.SETTINGS):
        default = "" if setting.default in ("", ()) else f" [default: {setting.default}]"
        command = click.option(
            "--" + setting.name.replace("_", "-"),
            setting.name,
            metavar=setting.unit.upper().replace(" ", "-"),
            help=f"{setting.help}.{default}",
        )(command)
    return command


@click.command()
@_setting_options
@click.option(
    "--config", "config_file", metavar="FILE", help="Settings in TOML (else ./batchyard.toml, if there is one)."
)
@click.option("--quit-runner", is_flag=True, help="When the server ends, end its running jobs too.")
def serve(config_file: str | None, quit_runner: bool, **flags: Any) -> None:
    """Run the server in the foreground, until Ctrl-C or SIGTERM.

    Running jobs go on when the server ends, and the next server finds them (see --quit-runner). Each flag can also be
    set in the environment, as BATCHYARD_ and its name, and in the TOML file.
    """
    try:
        settings = config.load(flags, config=config_file)
    except config.SettingError as error:
        raise Problem(str(error), "batchyard serve --help lists the settings.", exit_code=2) from None
    from batchyard import server

    try:
        sys.exit(server.serve(settings, lambda url: click.echo(greeting(url, settings.data)), quit_runner))
    except server.ServeError as error:
        raise Problem(str(error)) from None


def greeting(url: str, data: str) -> str:
    """What a newcomer must know once the server answers."""
    flag = "" if data == config.default_data(os.environ) else f" --data {shlex.quote(data)}"
    return f"""Batchyard {batchyard.__version__} answers at {url}; its data is in {data}. Ctrl-C ends it.

In another terminal:
  batchyard run{flag} -- echo hello    run a first job
  batchyard jobs{flag}                 see what became of it
  eval "$(batchyard env{flag})"        then aws, boto3 and workflow engines use this server"""
