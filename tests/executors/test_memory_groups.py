"""Where control groups for slots are made, on machines that are told by their files."""

from __future__ import annotations

import pytest

from batchyard.executors.runner import memory


@pytest.fixture
def version_2(tmp_path, monkeypatch):
    """A machine with version 2 alone; call it with the group that we are in."""
    monkeypatch.setattr(memory, "MOUNT", str(tmp_path))

    def at(own: str):
        (tmp_path / own.lstrip("/")).mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(memory, "_own_group", lambda controller: {"": own}[controller])
        return memory.make_base("/var/lib/batchyard")

    at.mount = tmp_path
    return at


def test_a_service_s_groups_are_in_what_was_delegated_to_it(version_2):
    base = version_2("/system.slice/batchyard.service/server")
    assert base.startswith(f"{version_2.mount}/system.slice/batchyard.service/batchyard-")
    service = version_2.mount / "system.slice/batchyard.service"
    assert (service / "cgroup.subtree_control").read_text() == "+memory"
    assert not (version_2.mount / "cgroup.subtree_control").exists(), "what is not ours is left alone"


@pytest.mark.parametrize("own", ["/", "/user.slice/user-0.slice/session-1.scope", "/system.slice/batchyard.service"])
def test_elsewhere_they_are_at_the_top(version_2, own):
    assert version_2(own).startswith(f"{version_2.mount}/batchyard-")


def test_in_a_container_that_calls_its_own_group_server(version_2):
    assert version_2("/server").startswith(f"{version_2.mount}/batchyard-")


def test_where_nothing_can_be_made_there_are_none(version_2):
    (version_2.mount / "cgroup.subtree_control").mkdir()
    assert version_2("/") is None
