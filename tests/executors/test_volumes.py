"""Which files of the machine a job may be shown as a volume."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from batchyard.executors.runner import volumes
from batchyard.executors.runner.volumes import Refused


class Land:
    """A machine's files in a directory of the test's own: srv/data is allowed, a server's data and a socket are not."""

    def __init__(self, top: Path):
        self.top = top
        for name in ("srv/data/in", "srv/other", "efs/one/a", "server/data/logs", "run"):
            (top / name).mkdir(parents=True)
        self.data = str(top / "server/data")
        self.order = {"host_paths": [str(top / "srv/data")], "never_mounted": [str(top / "run/engine.sock")]}
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(top / "run/engine.sock"))

    def path(self, name: str) -> str:
        return str(self.top / name)

    def place(self, source: str | None, within: str | None = None, **order) -> str | None:
        mount = {"source": source, "within": within, "volume": "v", "path": "/v", "read_only": False}
        return volumes.place(mount, self.order | order, self.data)

    def refused(self, source: str, within: str | None = None, **order) -> str:
        with pytest.raises(Refused) as refusal:
            self.place(source, within, **order)
        return str(refusal.value)


@pytest.fixture
def land(tmp_path):
    made = Land(Path(os.path.realpath(tmp_path)))
    yield made
    made.socket.close()


def test_a_volume_without_a_source_is_the_attempts_own(land):
    assert land.place(None) is None


def test_what_exists_may_be_seen_below_the_operators_directories_only(land):
    assert land.place(land.path("srv/data")) == land.path("srv/data")
    assert land.place(land.path("srv/data/in/")) == land.path("srv/data/in")
    said = land.refused(land.path("srv/other"))
    assert "volume v" in said and "setting host_paths" in said and land.path("srv/data") in said
    assert "allows no directory" in land.refused(land.path("srv/data/in"), host_paths=[])


def test_a_directory_whose_name_only_begins_like_an_allowed_one_is_another(land):
    (land.top / "srv/data-of-others").mkdir()
    assert "host_paths" in land.refused(land.path("srv/data-of-others"))


def test_links_and_dots_do_not_lead_out(land):
    os.symlink(land.path("srv/other"), land.path("srv/data/link"))
    assert f"it is {land.path('srv/other')}" in land.refused(land.path("srv/data/link"))
    assert "host_paths" in land.refused(land.path("srv/data/../other"))
    os.symlink(land.path("srv/data"), land.path("short"))
    assert land.place(land.path("short/in")) == land.path("srv/data/in"), "nor does a link keep from what is allowed"
    assert land.place(land.path("srv/data"), host_paths=[land.path("short")]) == land.path("srv/data")


def test_what_does_not_exist_is_a_directory_of_ours_by_its_path(land):
    first, again = land.place("/nowhere/at/all"), land.place("/nowhere/at//all/")
    assert first == again == f"{land.data}/volumes/nowhere%2Fat%2Fall"
    assert land.place("/nowhere/at") != first
    assert volumes.made(first) == first and volumes.made(first) == first
    assert os.stat(first).st_mode & 0o777 == 0o755
    long = land.place("/" + "x/" * 1000)
    assert len(os.path.basename(long)) <= 255 and long != land.place("/" + "x/" * 1001)


@pytest.mark.parametrize("source", ["srv/data", "", "./x", "/srv\0"])
def test_a_source_is_an_absolute_path(land, source):
    assert "absolute path" in land.refused(source)


def test_nobody_is_shown_the_data_directory_or_an_engines_socket(land):
    everywhere = {"host_paths": ["/"]}
    for name in ("server", "server/data", "server/data/logs", "server/data/absent"):
        assert f"data directory {land.data}" in land.refused(land.path(name), **everywhere)
    for name in ("run", "run/engine.sock", "run/engine.sock/x"):
        assert "by which jobs would have the machine, or its secrets" in land.refused(land.path(name), **everywhere)
    for name in ("/", "/run", "/var/run/docker.sock", "/run/docker.sock"):
        assert "cannot be mounted" in land.refused(name, **everywhere)
    os.symlink(land.data, land.path("srv/data/link"))
    assert "data directory" in land.refused(land.path("srv/data/link"))


def test_a_file_system_is_the_directory_that_stands_for_it_and_no_more(land):
    one = land.path("efs/one")
    assert land.place(one, one) == one and land.place(f"{one}/a", one) == f"{one}/a"
    os.symlink(land.path("srv"), f"{one}/out")
    assert "leads out of" in land.refused(f"{one}/out", one)
    assert "leads out of" in land.refused(f"{one}/../../srv", one)
    assert f"there is no directory {one}/absent" in land.refused(f"{one}/absent", one)
    assert "holds what no job may see" in land.refused(land.path("server"), land.path("server"))


def test_directories_of_ours_are_made_as_they_are_needed(land):
    mounts = [
        {"source": source, "within": None, "volume": "v", "path": "/v", "read_only": False}
        for source in (None, "/nowhere", land.path("srv/data"))
    ]
    found = volumes.ready({"mounts": mounts}, land.order, land.data)
    assert found == [None, f"{land.data}/volumes/nowhere", land.path("srv/data")] and os.path.isdir(found[1])
