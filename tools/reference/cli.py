"""Every command and its options, as ``--help`` says them, and what exit codes mean."""

from __future__ import annotations

from collections.abc import Iterator

import click

from batchyard.cli import main, run
from batchyard.server import failures
from reference import text

WIDTH = 100

EXIT_CODES = (
    ("0", "It did what it was asked. `batchyard run`: the job SUCCEEDED."),
    ("1", "It did not, and says why and what to do next. `batchyard run --array`: a child FAILED."),
    ("2", "The command line, or a setting, is not right."),
    *(
        (str(kind.exit_code), f"`batchyard serve` only: {(kind.__doc__ or '').strip()}")
        for kind in failures.ALL
        if kind.exit_code != 1
    ),
    (
        f"{run.OWN_FAILURE}",
        "`batchyard run` only: Batchyard itself failed, or the job has no exit code of its own (as with `docker run`).",
    ),
    ("128 + N", "A signal ended it: 130 after Ctrl-C, 143 after SIGTERM, 141 when what read its output went away."),
    ("any other", "`batchyard run`: the exit code of the job. 137 is a job that was killed, by its memory limit say."),
)


def page() -> str:
    parts = ["Every command is the public HTTP API spoken by hand: what it can do, any client can."]
    context = click.Context(main.cli, info_name="batchyard", terminal_width=WIDTH, max_content_width=WIDTH)
    for names, command, its_context in commands(main.cli, context, ("batchyard",)):
        parts += [f"## {' '.join(names)}", text.picture("text", command.get_help(its_context))]
    parts += ["## Exit codes", text.table(("code", "meaning"), EXIT_CODES)]
    return text.page("The batchyard command", *parts)


def commands(
    command: click.Command, context: click.Context, names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command, click.Context]]:
    """The command and all below it, in the order of their own listing, each with the words that call it."""
    yield names, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(
                    below, parent=context, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
                )
                yield from commands(below, inner, (*names, name))
