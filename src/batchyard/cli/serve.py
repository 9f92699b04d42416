"""``batchyard serve``: the server in the foreground. Its flags are the rows of ``config.SETTINGS``."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

import click

import batchyard
from batchyard import config, loglines
from batchyard.cli.client import Problem

log = logging.getLogger("batchyard.serve")


def setting_options(command: Callable) -> Callable:
    """A flag for each setting, and ``--config``; what is not given is None."""
    command = click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="Settings in TOML; else ./batchyard.toml or ~/.config/batchyard/config.toml, if there is one.",
    )(command)
    for setting in reversed(config.SETTINGS):
        default = "" if setting.default in ("", (), False) else f" [default: {setting.default}]"
        if setting.kind.toml is bool:
            names, more = f"{setting.flag}/--no-{setting.flag[2:]}", {"default": None}
        else:
            names, more = setting.flag, {"metavar": setting.unit.upper().replace(" ", "-")}
        command = click.option(names, setting.name, help=f"{setting.help}.{default}", **more)(command)
    return command


def resolved(flags: dict[str, Any], config_file: str | None) -> config.Resolved:
    """The settings in force and their origins. Problem for one that cannot be."""
    try:
        return config.resolve(flags, config=config_file)
    except config.SettingError as error:
        raise Problem(f"{error}.", "batchyard serve --help lists the settings.", exit_code=2) from None


@click.command()
@setting_options
def serve(config_file: str | None, **flags: Any) -> None:
    """Run the server in the foreground, until Ctrl-C or SIGTERM.

    Running jobs go on when the server ends, and the next server finds them (see --quit-runner). Each flag can also be
    set in the environment, as BATCHYARD_ and its name, and in the TOML file; batchyard config shows what is in force.
    """
    settings = resolved(flags, config_file).settings
    for name in config.strangers(os.environ):
        hint = config.nearest(name)
        click.echo(f"batchyard: {name} is set and is no setting{f': {hint}' if hint else '.'}", err=True)
    from batchyard.server import start
    from batchyard.server.failures import ServeError

    as_json = settings.log_format == loglines.JSON

    def ready(url: str) -> None:
        log.info("answers", extra={"url": url, "data": settings.data})
        if not as_json:
            click.echo(greeting(url, settings.data))

    try:
        sys.exit(start.serve(settings, ready))
    except ServeError as error:
        if as_json:
            log.critical(error.message, extra={"next": error.next_step, "exit": error.exit_code})
            sys.exit(error.exit_code)
        raise Problem(error.message, error.next_step, error.exit_code) from None


def greeting(url: str, data: str) -> str:
    """What a newcomer must know once the server answers."""
    flag = "" if data == config.default_data(os.environ) else f" --data {shlex.quote(data)}"
    return f"""Batchyard {batchyard.__version__} answers at {url}; its data is in {data}. Ctrl-C ends it.

In another terminal:
  batchyard run{flag} -- echo hello    run a first job
  batchyard jobs{flag}                 see what became of it
  eval "$(batchyard env{flag})"        then aws, boto3 and workflow engines use this server"""
