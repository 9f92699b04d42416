"""What becomes of a client's environment that cannot be made, and of one whose list has changed."""

from __future__ import annotations

import pytest

from tests.clients import environments, place


@pytest.fixture
def without_index(tmp_path, monkeypatch):
    """No index is reachable, and one client is known whose package nobody has."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "nobody.txt").write_text("a-client-that-nobody-has==1.0\n")
    monkeypatch.setattr(environments, "REQUIREMENTS", requirements)
    monkeypatch.setattr(environments, "NAMES", ["nobody"])
    monkeypatch.setattr(environments, "HOME", tmp_path / "clients")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("CI", raising=False)
    return requirements


def test_tests_without_their_client_are_skipped_and_say_why(without_index, capsys):
    with pytest.raises(pytest.skip.Exception, match="it has not been made; `make clients` makes it where pip reaches"):
        place.environment("nobody")
    assert environments.main() == 0
    assert "nobody: ERROR: No matching distribution found for a-client-that-nobody-has==1.0" in capsys.readouterr().err
    with pytest.raises(pytest.skip.Exception, match="No matching distribution found for a-client-that-nobody-has"):
        place.environment("nobody")


def test_where_ci_is_set_nothing_is_skipped(without_index, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert environments.main() == 1
    with pytest.raises(pytest.fail.Exception, match="No matching distribution found for a-client-that-nobody-has"):
        place.environment("nobody")


def test_a_changed_list_makes_the_environment_anew(without_index):
    wanted = without_index / "nobody.txt"
    wanted.write_text("# nothing at all\n")
    assert environments.make("nobody").startswith("nobody: made in")
    assert environments.make("nobody") == "nobody: there"
    assert (place.environment("nobody") / "bin" / "python").exists()
    wanted.write_text("# still nothing\n")
    with pytest.raises(environments.Unavailable, match="has not been made"):
        environments.directory("nobody")
    assert environments.make("nobody").startswith("nobody: made in")
