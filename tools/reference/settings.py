"""The rows of ``config.SETTINGS``."""

from __future__ import annotations

from typing import Any

from batchyard import config
from reference import text


def page() -> str:
    rows = [
        (
            text.code(setting.name),
            text.code(setting.flag),
            text.code(setting.variable),
            _default(setting.default),
            setting.unit,
            f"{setting.help}.",
        )
        for setting in config.SETTINGS
    ]
    return text.page(
        "Settings of the server",
        """A flag of `batchyard serve` goes before the environment, the environment before the TOML file, the file
before the default. The file is `--config FILE`, else `batchyard.toml` in the current directory, else
`~/.config/batchyard/config.toml`; its keys are the names below, at the top level. A variable that is empty counts as
not set. Paths in the file are relative to the file.""",
        text.table(("name", "flag", "variable", "default", "unit", "meaning"), rows),
        "Three more variables are no settings: "
        + ", ".join(text.code(name) for name in sorted(config.OTHER_VARIABLES))
        + ". They tell commands where a server is and with which key to sign, and the two of the key tell `serve`"
        " which key to take; keys stand in the environment or in a file, never on the command line.",
    )


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "no" if not value else "yes"
    return text.code(",".join(value) if isinstance(value, tuple) else str(value))
