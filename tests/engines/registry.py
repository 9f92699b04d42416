"""A registry on loopback from which engines pull: as much of the protocol as that takes, and a count of what was asked.

Protocol: the distribution specification of the Open Container Initiative, "Pull".
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
USER, PASSWORD = "reader", "open sesame"


class Registry:
    """Used in a ``with``. A `private` one wants USER and PASSWORD; each answer takes `delay_s`, so that pulls meet."""

    def __init__(self, private: bool = False, delay_s: float = 0.0):
        self.private, self.delay_s = private, delay_s
        self.layers_sent: Counter[str] = Counter()  # by repository
        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[tuple[str, str], bytes] = {}  # by repository and tag or digest
        self._layers: set[str] = set()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry._answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def push(self, repository: str, archive: bytes, tag: str = "latest", **config) -> str:
        """Have an image of these files; `config` is what it runs (Cmd, Entrypoint, Env, ...). Its full reference."""
        archive = _of_its_own(archive)
        layer = gzip.compress(archive, 1, mtime=0)
        about = {"architecture": "amd64", "os": "linux", "config": config}
        about["rootfs"] = {"type": "layers", "diff_ids": [_digest(archive)]}
        parts = [(CONFIG, json.dumps(about).encode()), (LAYER, layer)]
        described = [{"mediaType": kind, "size": len(data), "digest": _digest(data)} for kind, data in parts]
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
        ).encode()
        self._blobs |= {_digest(data): data for _, data in parts}
        self._layers.add(_digest(layer))
        for name in (tag, _digest(manifest)):
            self._manifests[repository, name] = manifest
        return f"{self.address}/{repository}:{tag}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        time.sleep(self.delay_s)
        if self.private and request.headers.get("Authorization") != _basic(USER, PASSWORD):
            return _refuse(request, 401, "UNAUTHORIZED", "authentication required")
        asked = re.fullmatch(r"/v2/(?:(.+)/(manifests|blobs)/([^/]+))?", request.path)
        if asked is None:
            return _send(request, 404, b"{}")
        repository, kind, name = asked.groups()
        if repository is None:
            return _send(request, 200, b"{}")
        if kind == "manifests":
            if (found := self._manifests.get((repository, name))) is None:
                return _refuse(request, 404, "MANIFEST_UNKNOWN", "manifest unknown")
            return _send(request, 200, found, MANIFEST)
        if name in self._layers and request.command == "GET":
            self.layers_sent[repository] += 1
        return _send(request, 200, self._blobs[name]) if name in self._blobs else _send(request, 404, b"{}")


def _of_its_own(archive: bytes) -> bytes:
    """The same files and one more, which no other image has: an engine does not pull a layer that it has already."""
    out = io.BytesIO(archive)
    with tarfile.open(fileobj=out, mode="a") as tar:
        about = tarfile.TarInfo("etc/pushed")
        about.size = 16
        tar.addfile(about, io.BytesIO(os.urandom(16)))
    return out.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _refuse(request: BaseHTTPRequestHandler, status: int, code: str, message: str) -> None:
    _send(request, status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    request.send_response(status)
    request.send_header("Docker-Distribution-API-Version", "registry/2.0")
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    if status == 200:
        request.send_header("Docker-Content-Digest", _digest(body))
    if status == 401:
        request.send_header("WWW-Authenticate", 'Basic realm="registry"')
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)
