"""``batchyard env``: the exports that point stock clients at the server.

Only the services that Batchyard serves get an endpoint: ``AWS_ENDPOINT_URL`` alone would also send S3 requests here.
"""

from __future__ import annotations

import json
import os
import shlex

import click

from batchyard.cli.client import REGION, Place, connection_options, locate

# The ids under which the SDKs look for a service's endpoint (reference "Clients": not ..._LOGS).
SERVICES = ("BATCH", "CLOUDWATCH_LOGS", "STS")


def variables(place: Place) -> dict[str, str]:
    """What a client of `place` must have in its environment. AWS_REGION is for the SDKs that do not read the other."""
    return {f"AWS_ENDPOINT_URL_{service}": place.endpoint for service in SERVICES} | {
        "AWS_ACCESS_KEY_ID": place.key_id,
        "AWS_SECRET_ACCESS_KEY": place.secret,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


@click.command()
@connection_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object instead of shell lines.")
def env(data: str | None, endpoint: str | None, as_json: bool) -> None:
    """Print the exports that point aws, boto3 and other clients at the server.

    \b
    Use it so:  eval "$(batchyard env)"
    """
    found = variables(locate(data, endpoint))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    if "AWS_SESSION_TOKEN" in os.environ:  # it belongs to another key
        click.echo("unset AWS_SESSION_TOKEN")
