"""`batchyard env`: what a shell and a program get to read."""

from __future__ import annotations

import json
import subprocess

from tests.cli.conftest import KEY_ID, SECRET


def test_the_exports_survive_a_shell(batchyard, api, environ):
    environ.setenv("BATCHYARD_SECRET_ACCESS_KEY", "it's$HOME`x`&;")
    lines = batchyard("env").stdout
    script = f"{lines}\nprintenv AWS_ENDPOINT_URL_BATCH AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION"
    seen = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert seen == f"{api.url}\nit's$HOME`x`&;\nus-east-1\n"


def test_only_the_services_served_get_an_endpoint(batchyard, api):
    """AWS_ENDPOINT_URL alone would send S3 here too."""
    found = json.loads(batchyard("env", "--json").stdout)
    assert found == {
        "AWS_ENDPOINT_URL_BATCH": api.url,
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": api.url,
        "AWS_ENDPOINT_URL_STS": api.url,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }


def test_a_session_token_of_another_key_is_unset(batchyard, environ):
    assert "unset" not in batchyard("env").stdout
    environ.setenv("AWS_SESSION_TOKEN", "of-another-key")
    assert batchyard("env").stdout.endswith("unset AWS_SESSION_TOKEN\n")
