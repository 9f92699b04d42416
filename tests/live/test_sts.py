"""Who one is, asked by the stock clients with nothing but the exports of `batchyard env`."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.live.test_aws_cli import aws, refused


def test_the_aws_cli_learns_the_account(site):
    who = aws(site, "sts", "get-caller-identity")
    assert (who["Account"], who["UserId"]) == ("123456789012", site.key[0])
    assert who["Arn"] == f"arn:aws:iam::123456789012:user/{site.key[0]}"


def test_boto3_learns_it_from_the_exports_alone(site, tmp_path):
    asked = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    script = f'eval "$({sys.executable} -m batchyard env --data {site.data})"; {sys.executable} -c "{asked}"'
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", script], env=bare, capture_output=True, text=True)
    assert done.stdout == "123456789012\n", done.stderr


def test_what_sts_cannot_do_here_is_said(site):
    said = refused(site, "sts", "get-session-token")
    assert "(InvalidAction)" in said
    assert "There is no operation GetSessionToken" in said
