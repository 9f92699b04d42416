"""The group of commands. Each command's module is imported only when that command runs, so that all start fast."""

from __future__ import annotations

import sys

import click

import batchyard

# In the order of --help; the text is the first thing a newcomer reads about each.
COMMANDS = {
    "demo": "Start a throw-away server, draw a map with six stages of jobs, show how they ran.",
    "serve": "Run the server in the foreground.",
    "env": "Print the exports that point aws, boto3 and other clients at the server.",
    "run": "Run a command as a job, follow its output, exit with its exit code.",
    "jobs": "List jobs, or show one.",
    "explain": "Say why a job is not running, and what would change it.",
    "logs": "Print a job's log.",
    "terminate": "End a job, or an array of jobs.",
    "config": "Show the settings in force, and where each comes from.",
    "admin": "Back up, restore and check what the server stores.",
    "doctor": "Say what this machine can do for jobs, and what would enable more.",
}


def _load(name: str) -> click.Command:
    match name:
        case "demo":
            from batchyard.cli.demo import demo as command
        case "serve":
            from batchyard.cli.serve import serve as command
        case "env":
            from batchyard.cli.env import env as command
        case "run":
            from batchyard.cli.run import run as command
        case "jobs":
            from batchyard.cli.jobs import jobs as command
        case "explain":
            from batchyard.cli.explain import explain as command
        case "logs":
            from batchyard.cli.logs import logs as command
        case "terminate":
            from batchyard.cli.terminate import terminate as command
        case "admin":
            from batchyard.cli.admin import admin as command
        case "config":
            from batchyard.cli.config import show_settings as command
        case _:
            from batchyard.cli.doctor import doctor as command
    return command


class Commands(click.Group):
    """A group that knows the names and one-line helps of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _load(name) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(batchyard.__version__, prog_name="batchyard", message="%(prog)s %(version)s")
def cli() -> None:
    """AWS Batch on your own machines: unmodified clients point at it and their jobs really run."""


def main() -> None:
    """Entry of the ``batchyard`` script and of ``python -m batchyard``."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a job's text must not end us where the terminal cannot show it
    cli(prog_name="batchyard")
