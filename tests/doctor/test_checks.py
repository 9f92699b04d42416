"""The checks, on machines that are better and worse than this one as far as that can be arranged."""

from __future__ import annotations

import os
import shutil
import socket
import threading

import pytest

from batchyard.doctor import about, checks, engines
from tests.doctor.runner import WEAK, tell


@pytest.fixture
def examined(tmp_path, monkeypatch):
    """Examine this machine after what the test has changed: the checks by name."""
    for engine in engines.KNOWN:  # no socket of this machine's own
        monkeypatch.setenv(engine.variable, f"unix://{tmp_path}/{engine.name}.sock")
    return lambda: {check.name: check for check in checks.examine(tmp_path)}


def command(tmp_path, monkeypatch, name, script):
    """Put a command of this name first on the PATH."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")


def test_every_check_has_a_word_a_sentence_and_if_not_ok_mostly_a_remedy(examined):
    for check in examined().values():
        assert check.word in (checks.OK, checks.WEAKER, checks.MISSING)
        assert check.sentence.endswith(".") and check.sentence[0] == check.sentence[0].upper() or "/" in check.sentence
        if check.word == checks.MISSING:
            assert check.remedy


def test_what_the_runner_found_is_told(examined, tmp_path):
    tell(tmp_path, isolation="namespaces", groups="/sys/fs/cgroup/memory/x", uid=0)
    found = examined()
    assert [found[name].word for name in ("isolation", "memory", "users")] == ["ok"] * 3
    assert "/sys/fs/cgroup/memory/x" in found["memory"].sentence


def test_a_weak_machine(examined, tmp_path):
    tell(tmp_path, **WEAK)
    found = examined()
    assert [found[name].word for name in ("isolation", "memory", "users")] == ["weaker"] * 3
    assert found["isolation"].sentence.startswith("Weak: no namespaces (Operation not permitted)")
    assert "looking at a job's processes" in found["memory"].sentence
    assert found["users"].remedy == "run the server as root"
    assert found["isolation"].remedy and found["memory"].remedy


def test_namespaces_with_something_wanting_are_weaker_too(examined, tmp_path):
    tell(tmp_path, isolation="user-namespaces", weaker=["jobs share /dev/shm with the machine"])
    check = examined()["isolation"]
    assert check.word == "weaker"
    assert "in a user namespace, but jobs share /dev/shm with the machine." in check.sentence


def test_before_any_runner_a_trial_tells(examined, tmp_path, monkeypatch):
    command(tmp_path, monkeypatch, "unshare", '[ "$1" = --user ]')
    assert "in a user namespace" in examined()["isolation"].sentence
    command(tmp_path, monkeypatch, "unshare", "exit 1")
    assert examined()["isolation"].word == "weaker"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert examined()["isolation"].word == "missing"


def test_an_engine_that_answers_one_that_does_not_and_none(examined, tmp_path, monkeypatch):
    command(tmp_path, monkeypatch, "podman", "exit 0")
    monkeypatch.setattr(shutil, "which", lambda name: f"{tmp_path}/bin/podman" if name == "podman" else None)
    assert (examined()["docker"].word, examined()["podman"].word) == ("missing", "weaker")
    assert examined()["docker"].remedy == "apt install docker.io"
    with Engine(f"{tmp_path}/docker.sock", b"HTTP/1.0 200 OK\r\n\r\nOK") as engine:
        check = examined()["docker"]
        assert check.word == "ok" and str(tmp_path / "docker.sock") in check.sentence
    assert engine.asked.startswith(b"GET /_ping HTTP/1.0\r\n")
    os.unlink(tmp_path / "docker.sock")
    with Engine(f"{tmp_path}/docker.sock", b"HTTP/1.0 500 Broken\r\n\r\n"):
        assert examined()["docker"].word == "missing"


class Engine:
    """Answers one request at a socket."""

    def __init__(self, path: str, answer: bytes):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self.asked = b""

    def _serve(self, answer: bytes) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.asked = connection.recv(4096)
            connection.sendall(answer)

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()


def test_a_socket_path_that_no_socket_can_have_is_no_engine():
    assert not engines.answers("/" + "x" * 300)


def test_gpus_are_those_that_their_tool_lists(examined, tmp_path, monkeypatch):
    command(tmp_path, monkeypatch, "nvidia-smi", "printf 'NVIDIA A, 80 MiB\\nNVIDIA B, 80 MiB\\n'")
    check = examined()["gpus"]
    assert (check.word, check.sentence) == ("ok", "2 found: NVIDIA A, 80 MiB; NVIDIA B, 80 MiB.")
    assert "--gpus 0" in check.remedy


def test_a_full_disk_is_said_with_what_makes_room(examined, monkeypatch):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 << 30, 9 << 30, 100 << 20))
    check = examined()["disk"]
    assert check.word == "weaker" and "100 MiB of 10.0 GiB" in check.sentence and "jobs_keep_days" in check.remedy


def test_a_data_directory_that_is_yet_to_be_made(tmp_path):
    found = {check.name: check for check in checks.examine(tmp_path / "a" / "b")}
    assert str(tmp_path / "a" / "b") in found["disk"].sentence
    assert not (tmp_path / "a").exists()


def test_few_open_files(examined, monkeypatch):
    monkeypatch.setattr(checks.resource, "getrlimit", lambda _: (256, 256))
    check = examined()["files"]
    assert check.word == "weaker" and "256" in check.sentence and "LimitNOFILE" in check.remedy


@pytest.mark.parametrize(("state", "word"), [(0, "ok"), (5, "weaker"), (None, "weaker")])
def test_the_clock(examined, monkeypatch, state, word):
    monkeypatch.setattr(checks, "_adjtimex", lambda: state)
    assert examined()["clock"].word == word


def test_notices_are_what_every_job_does_without(tmp_path):
    assert about.notices(tmp_path) == []  # nothing is known yet
    tell(tmp_path, isolation="namespaces", groups="/g", uid=0)
    assert about.notices(tmp_path) == []
    tell(tmp_path, **WEAK)
    isolation, memory = about.notices(tmp_path)
    assert isolation.startswith("On this machine no namespaces (Operation not permitted)")
    assert "memory limits are kept by looking" in memory
    tell(tmp_path, isolation="session", weaker=[], groups="/g", uid=0)
    assert len(about.notices(tmp_path)) == 2  # no namespaces although nobody said so, and nobody instead of root


def test_a_user_is_named_only_where_it_is_not_applied(tmp_path):
    strong = {"isolation": "namespaces", "groups": "/g"}
    tell(tmp_path, **strong, uid=0)
    assert about.notices(tmp_path, "nobody") == []
    tell(tmp_path, **strong, uid=3_000_000)
    assert about.notices(tmp_path, "nobody") == [
        "user nobody is not applied: the job runs as 3000000, the server's user."
    ]
    assert about.notices(tmp_path, None) == about.notices(tmp_path, "3000000") == []
    tell(tmp_path, isolation="user-namespaces", groups="/g", uid=0)
    assert about.notices(tmp_path, "root") == [] != about.notices(tmp_path, "nobody")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"isolation": "session"}'])
def test_what_is_no_word_of_a_runner_is_nothing_known(tmp_path, text):
    tell(tmp_path)
    about.path(tmp_path).write_text(text)
    assert about.read(tmp_path) is None


ENGINE = {"name": "docker", "version": "20.10.24", "socket": "/run/e.sock", "rootless": False}


@pytest.mark.parametrize(
    ("executor", "told", "word", "sentence"),
    [
        ("auto", {"engine": ENGINE}, "ok", "Jobs run in containers, by docker 20.10.24 at /run/e.sock."),
        (
            "container",
            {"engine": ENGINE | {"rootless": True}},
            "ok",
            "Jobs run in containers of the server's own user, by docker 20.10.24 at /run/e.sock.",
        ),
        (
            "auto",
            {"engine": None, "engine_failure": "/run/e.sock: there is no such socket"},
            "weaker",
            "Jobs run as processes, without their images: /run/e.sock: there is no such socket.",
        ),
        (
            "container",
            {"engine": None, "engine_failure": "x"},
            "missing",
            "Jobs cannot start: the setting executor is container, and no engine does: x.",
        ),
        ("process", {"engine": ENGINE}, "ok", "Jobs run as processes: the setting executor says so."),
    ],
)
def test_which_executor_jobs_have_and_why(tmp_path, monkeypatch, executor, told, word, sentence):
    tell(tmp_path, **told)
    check = {each.name: each for each in checks.examine(tmp_path, executor)}["executor"]
    assert (check.word, check.sentence) == (word, sentence)
    assert check.remedy or check.word == "ok"


def test_the_engine_in_use_is_asked_at_the_socket_that_the_runner_found(examined, tmp_path):
    tell(tmp_path, engine=ENGINE | {"socket": str(tmp_path / "used.sock")})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "used.sock"))
        found = examined()
    assert str(tmp_path / "used.sock") in found["docker"].sentence or found["docker"].word == checks.MISSING
    assert "Jobs do not use it." in found["podman"].sentence


def test_before_a_runner_has_tried_engines_it_is_not_known(examined):
    assert examined()["executor"].word == checks.MISSING
