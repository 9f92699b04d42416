"""A container engine by Docker's API, and in what Docker and Podman differ.

Both are asked through the `docker` library over one connection that is kept alive. Pulls have a connection of their
own, since they must be given up when the job is stopped.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

import docker
import requests
from docker import auth as registries
from docker.transport import UnixHTTPAdapter
from docker.utils import parse_repository_tag

from batchyard.executors.runner.containers import podman
from batchyard.executors.runner.containers.labels import belongs_to
from batchyard.executors.runner.wire import EngineAbout

ANSWER_S = 240  # after so long ECS's agent gives up, too
QUIET_PULL_S = 300  # a pull that says nothing for so long has failed
LIBPOD = "v4.0.0"  # the oldest that speaks of what we need
BACK_S = 0.5  # between two attempts to reach an engine that restarts

T = TypeVar("T")

_TAKEN = re.compile(r"is already in use|name .* is in use")
_NO_IMAGE = re.compile(r"no such image|image not known|no image with", re.IGNORECASE)


class EngineError(Exception):
    """The engine refused; the message is its own."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class NoSuchImage(EngineError):
    """It is not here: it must be pulled."""


class NoSuchContainer(EngineError):
    """It is gone, or never was."""


class Unreachable(Exception):
    """Nobody answers at the engine's socket, or not in time."""


class GivenUp(Exception):
    """Whoever waited does not want it any more."""


class _OnePool(UnixHTTPAdapter):
    """Keeps connections alive. The library's own has a pool for each address, so it would use none of them twice."""

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        return super().get_connection("one", proxies)


class Engine:
    """One engine, asked by one thread at a time; `interrupt` is for any other."""

    def __init__(self, about: EngineAbout):
        self.about = about
        self.client = docker.APIClient(base_url=f"unix://{about.socket}", version=about.api, timeout=ANSWER_S)
        self.client.mount("http+docker://", _OnePool(f"http+unix://{about.socket}", ANSWER_S))
        self.client.trust_env = False  # proxies are not for a socket, and looking for them takes long
        self._pulling: socket.socket | None = None
        self._lock = threading.Lock()  # of what is being pulled

    def _asked(self, question: Callable[[], T]) -> T:
        """Ask; once more if the connection had gone stale, since an engine that restarted has closed it."""
        for last in (False, True):
            try:
                return question()
            except docker.errors.APIError as error:
                raise _refused(error) from None
            except requests.exceptions.ReadTimeout as error:
                raise Unreachable(str(error)) from None
            except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                if last:
                    raise Unreachable(str(error)) from None
        raise AssertionError("unreachable")

    # -- one container ----------------------------------------------------------------------------------------------

    def create(self, name: str, body: dict[str, Any]) -> str:
        """Make a container; returns its id. One of ours that has this name already is it: names are of attempts."""
        try:
            if self.about.name == "podman" and podman.needed(body):
                return self._ask_libpod("containers/create", podman.specification(body, name)).json()["Id"]
            return self._asked(lambda: self.client.create_container_from_config(body, name))["Id"]
        except EngineError as error:
            if _NO_IMAGE.search(str(error)):
                raise NoSuchImage(error.status, str(error)) from None
            if _TAKEN.search(str(error)):  # 409 from Docker, 500 from Podman
                with suppress(NoSuchContainer):
                    return self.named(name)["Id"]
            raise

    def named(self, name: str) -> dict[str, Any]:
        """Inspect the container of ours that has this name; NoSuchContainer also for one of somebody else's."""
        there = self.inspect(name)
        if not belongs_to(name, there["Config"]["Labels"]):
            raise NoSuchContainer(404, f"the container {name} is not Batchyard's")
        return there

    def prepare(self, container: str) -> bool:
        """Have its main process wait for `start`, where the engine can: then it can be looked at before it runs."""
        if self.about.name != "podman":
            return False
        self._ask_libpod(f"containers/{container}/init")
        return True

    def _ask_libpod(self, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """Ask for what only Podman's own API has."""

        def question() -> requests.Response:
            url = f"{self.client.base_url}/{LIBPOD}/libpod/{path}"
            answer = self.client.post(url, json=body, timeout=ANSWER_S)
            self.client._raise_for_status(answer)
            return answer

        return self._asked(question)

    def start(self, container: str) -> None:
        self._asked(lambda: self.client.start(container))

    def inspect(self, container: str) -> dict[str, Any]:
        """Raises NoSuchContainer."""
        return self._asked(lambda: self.client.inspect_container(container))

    def log(self, container: str) -> bytes:
        """All that it wrote, if that is little."""
        return self._asked(lambda: self.client.logs(container))

    def kill(self, container: str, signal: str | int) -> None:
        """Send the signal; nothing happens to one that does not run."""
        try:
            self._asked(lambda: self.client.kill(container, signal))
        except EngineError as error:
            if not (isinstance(error, NoSuchContainer) or error.status in (409, 500)):
                raise

    def remove(self, container: str) -> None:
        """Kill it if it runs, and remove it with its anonymous volumes; nothing happens if it is gone."""
        try:
            self._asked(lambda: self.client.remove_container(container, v=True, force=True))
        except NoSuchContainer:
            pass
        except EngineError as error:
            if error.status != 409:  # being removed by somebody else
                raise

    def remove_volume(self, name: str) -> None:
        """Nothing happens if it is gone."""
        try:
            self._asked(lambda: self.client.remove_volume(name, force=True))
        except EngineError as error:
            if error.status != 404:
                raise

    def labelled(self, label: str) -> list[dict[str, Any]]:
        """All containers with the label (`name=value`), running or not."""
        return self._asked(lambda: self.client.containers(all=True, filters={"label": [label]}))

    def told(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the engine says of its version and of itself."""
        return self._asked(lambda: self.client.version(api_version=False)), self._asked(self.client.info)

    # -- images -----------------------------------------------------------------------------------------------------

    def pull(self, image: str, credentials: dict[str, str] | None) -> None:
        """Fetch an image, with the credentials of the job or else those of this user. Raises EngineError."""
        repository, tag = parse_repository_tag(image)
        headers = {"Content-Length": "0"}
        if credentials:
            headers["X-Registry-Auth"] = registries.encode_header(credentials).decode()
        else:
            registry, _ = registries.resolve_repository_name(repository)
            header = registries.get_config_header(self.client, registry)
            headers |= {"X-Registry-Auth": header} if header else {}
        query = urlencode({"fromImage": repository, "tag": tag or "latest"})
        connection = _Connection(self.about.socket, QUIET_PULL_S)
        try:
            connection.connect()
            with self._lock:
                self._pulling = connection.sock
            connection.request("POST", f"/v{self.about.api}/images/create?{query}", headers=headers)
            _read_progress(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from None
        finally:
            with self._lock:
                self._pulling = None
            connection.close()

    def load(self, image: str, archive: bytes, program: str) -> None:
        """Make an image of a root file system, a tar archive, in which that program runs."""
        repository, tag = parse_repository_tag(image)
        changes = [f'CMD ["{program}"]']
        self._asked(lambda: self.client.import_image_from_data(archive, repository, tag, changes=changes))

    def interrupt(self) -> None:
        """Have a pull that is under way fail at once."""
        with self._lock:
            if self._pulling is not None:
                self._pulling.shutdown(socket.SHUT_RDWR)


def patiently(work: Callable[[], T], given_up: Callable[[], bool], wait_s: float | None = None) -> T:
    """Do it again while the engine is not there: for `wait_s` (Unreachable), or until `given_up` (GivenUp)."""
    until_s = None if wait_s is None else time.monotonic() + wait_s
    while True:
        try:
            return work()
        except Unreachable:
            if given_up():
                raise GivenUp from None
            if until_s is not None and time.monotonic() > until_s:
                raise
        time.sleep(BACK_S)


def _refused(error: docker.errors.APIError) -> EngineError:
    status = error.status_code or 500
    message = (error.explanation or str(error)).strip()
    if status == 404 and re.search(r"no such container|no container with", message, re.IGNORECASE):
        return NoSuchContainer(status, message)
    return EngineError(status, message)


def _read_progress(response: http.client.HTTPResponse) -> None:
    """Until the pull is over. What failed is told by the status, or later in a line."""
    if response.status >= 300:
        told = response.read(1 << 16)
        try:
            message = json.loads(told)["message"]
        except (ValueError, KeyError, TypeError):
            message = told.decode(errors="replace") or response.reason
        raise EngineError(response.status, message)
    for line in response:
        told = json.loads(line) if line.strip() else {}
        if told.get("error"):
            raise EngineError(500, told["error"])


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float):
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
