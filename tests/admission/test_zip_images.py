"""Images that are zipped applications: what is an address of one, and where it may come from."""

from __future__ import annotations

import pytest

from batchyard.model import zip_images
from batchyard.model.zip_images import address_of, allowed, fault, fault_of_prefix


@pytest.mark.parametrize(
    "image", ["zip", "zip:latest", "zip:s3", "my/zip:1.0", "registry:5000/zip:https", "gzip:s3://b/k"]
)
def test_ordinary_images(image):
    assert address_of(image) is None


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://bucket/apps/app.zip", None),
        ("s3://bucket/größe und mehr.zip", None),
        ("https://host.test/app.zip?versionId=1", None),
        ("http://127.0.0.1:8000/app.zip", None),
        ("file:///srv/apps/app%201.zip", None),
        ("ftp://host/app.zip", "its scheme is none of s3, https, http, file"),
        ("S3://bucket/app.zip", "its scheme is none of"),
        ("s3://bucket", "it names no archive"),
        ("s3://bucket/", "it names no archive"),
        ("s3://Bucket/app.zip", "'Bucket' cannot be a bucket"),
        ("s3:///app.zip", "'' cannot be a bucket"),
        ("https://host/", "it names no archive"),
        ("https:///app.zip", "it names no host"),
        ("https://me:secret@host/app.zip", "user and password cannot be part of it"),
        ("https://host:99999/app.zip", "Port out of range"),
        ("https://host/app zip", "percent-encoded"),
        ("https://host/a\\..\\b", "percent-encoded"),
        ("https://host/app.zip#part", "it holds a fragment"),
        ("https://host/apps/../app.zip", "it holds . or .. as a part"),
        ("https://host/apps/%2E%2e/app.zip", "it holds . or .. as a part"),
        ("s3://bucket/apps/../app.zip", "it holds . or .. as a part"),
        ("file://host/app.zip", "a file is on this machine"),
        ("file:///srv/../etc/passwd", "it holds . or .. as a part"),
        ("https://host/a\r\nX: y", "it holds control characters"),
    ],
)
def test_addresses(address, words):
    told = fault(address)
    assert told is None if words is None else words in told
    assert address_of(f"zip:{address}") == address
    assert allowed(
        address, ["s3://bucket", "https://host", "https://host.test", "file:///srv", "http://127.0.0.1:8000"]
    ) is (words is None)


@pytest.mark.parametrize(
    ("address", "prefix", "may"),
    [
        ("s3://bucket/apps/a.zip", "s3://bucket", True),
        ("s3://bucket/apps/a.zip", "s3://bucket/apps", True),
        ("s3://bucket/apps/a.zip", "s3://bucket/apps/", True),
        ("s3://bucket/apps/a.zip", "s3://bucket/apps/a.zip", True),
        ("s3://bucket/apps-of-others/a.zip", "s3://bucket/apps", False),
        ("s3://bucket-of-others/a.zip", "s3://bucket", False),
        ("https://host.evil/a.zip", "https://host", False),
        ("https://host@evil/a.zip", "https://host", False),
        ("https://host:444/a.zip", "https://host", False),
        ("http://host/a.zip", "https://host", False),
        ("file:///srv/apps/a.zip", "file:///srv/apps/", True),
        ("file:///srv/a.zip", "file:///srv/apps/", False),
    ],
)
def test_where_they_may_come_from(address, prefix, may):
    assert allowed(address, [prefix]) is may
    assert not allowed(address, [])


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("s3://bucket", None),
        ("s3://bucket/apps/", None),
        ("https://host:8443/apps", None),
        ("file:///srv/apps", None),
        ("s3://", "cannot be a bucket"),
        ("https://", "names no host"),
        ("file:///", "it allows every file"),
        ("file://", "it allows every file"),
        ("bucket/apps", "it must begin with s3://"),
        ("https://host/a?b=c", "it must begin with s3://"),
        ("ftp://host", "its scheme is none of"),
    ],
)
def test_beginnings_that_an_operator_may_allow(prefix, words):
    told = fault_of_prefix(prefix)
    assert told is None if words is None else words in told


def test_the_path_of_a_file():
    assert zip_images.file_path("file:///srv/my%20apps/a.zip") == "/srv/my apps/a.zip"
