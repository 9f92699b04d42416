"""``batchyard config``: the settings that ``batchyard serve`` with the same flags would have."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from batchyard import config
from batchyard.cli import render
from batchyard.cli.serve import resolved, setting_options

HIDDEN = "(not shown)"


@click.command("config")
@setting_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object instead of a table.")
def show_settings(config_file: str | None, as_json: bool, **flags: Any) -> None:
    """Show the settings that `batchyard serve` with the same flags would have, and where each comes from.

    A flag wins over the environment, that over the TOML file, that over the default. Secrets are not shown.
    """
    found = resolved(flags, config_file)
    strangers = config.strangers(os.environ)
    rows = {setting.name: (shown(setting, found), found.origins[setting.name]) for setting in config.SETTINGS}
    if as_json:
        told = {name: {"value": value, "from": origin} for name, (value, origin) in rows.items()}
        file = str(found.file) if found.file else None
        click.echo(json.dumps({"file": file, "settings": told, "notSettings": strangers}, indent=2))
        return
    click.echo(f"Settings file: {found.file or 'none'}\n")
    table = [(name, written(value), _origin(origin)) for name, (value, origin) in rows.items()]
    click.echo(render.table(("SETTING", "VALUE", "FROM"), table))
    if strangers:
        click.echo(f"\nSet in the environment, but no settings: {', '.join(strangers)}.")


def shown(setting: config.Setting, found: config.Resolved) -> Any:
    """Its value, unless that is a secret."""
    value = getattr(found.settings, setting.name)
    if setting.secret and value:
        return HIDDEN
    return list(value) if isinstance(value, tuple) else value


def written(value: Any) -> str:
    """As a TOML file would have it."""
    return value if value == HIDDEN else json.dumps(value, ensure_ascii=False)


def _origin(origin: str) -> str:
    return Path(origin).name if origin.startswith("/") else origin
