"""How an archive at an address is fetched: of S3, a request that is signed already."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from batchyard.access import sigv4
from batchyard.grants.calls import Credentials
from batchyard.ports.grants import Download, NotGranted

S3 = "s3://"


class Shelf(NamedTuple):
    """An S3: at `url`, or that of AWS in the region."""

    url: str | None
    region: str

    def place(self, address: str) -> str:
        """The URL of an object. Raises NotGranted for an address without bucket or key."""
        bucket, _, key = address.removeprefix(S3).partition("/")
        if not bucket or not key:
            raise NotGranted(f"{address} names no object: it must be s3://BUCKET/KEY")
        path = quote(key, safe="/~")
        if self.url:
            return f"{self.url.replace('{region}', self.region).rstrip('/')}/{quote(bucket, safe='')}/{path}"
        if "." in bucket:  # no certificate would cover it as a part of the host's name
            return f"https://s3.{self.region}.amazonaws.com/{bucket}/{path}"
        return f"https://{bucket}.s3.{self.region}.amazonaws.com/{path}"

    def download(self, address: str, credentials: Credentials | None, wall_s: float) -> Download:
        """Signed with the credentials, and so good for 15 minutes; without any as anybody may."""
        url = self.place(address)
        if credentials is None:
            return Download(url, {})
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "X-Amz-Content-Sha256": sha256(b"").hexdigest()}
        headers |= {"X-Amz-Security-Token": credentials.token} if credentials.token else {}
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_s))
        key = (credentials.key_id, credentials.secret, self.region, "s3")
        signed = sigv4.sign("GET", parts.path, parts.query, headers, b"", *key, at, encode_again=False)
        return Download(url, {name: value for name, value in (headers | signed).items() if name != "Host"})
