"""The access-key file: made once, whole, for its owner alone."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import botocore.session
import pytest

from batchyard.access import keys
from batchyard.config import SettingError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access-key"


def test_a_key_is_made_at_the_first_start_and_stays(path):
    made = keys.ensure(path)
    assert re.fullmatch(r"BYAK[A-Z2-7]{16}", made.id)
    assert re.fullmatch(r"[A-Za-z0-9]{40}", made.secret)
    assert path.read_text() == f"{made.id}:{made.secret}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.ensure(path) == keys.read(path) == made
    assert os.listdir(path.parent) == ["access-key"]


def test_the_mode_does_not_depend_on_the_umask(path):
    before = os.umask(0o777)
    try:
        keys.ensure(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_all_who_start_together_get_the_same_key(path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keys.ensure(path), range(16)))) == 1
    assert os.listdir(path.parent) == ["access-key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_file_that_others_may_touch_is_refused_with_the_command(path, mode):
    keys.ensure(path)
    path.chmod(mode)
    with pytest.raises(keys.KeyFileError, match=f"chmod 600 {re.escape(str(path))}"):
        keys.ensure(path)


@pytest.mark.parametrize(
    "content", ["", "\n", "onlyid", ":secret", "id:", "id:a b", "i d:secret", "id:a:b", "é:x", "\0:x"]
)
def test_a_garbled_file_is_refused_without_its_content(path, content):
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(keys.KeyFileError) as refused:
        keys.read(path)
    assert str(path) in str(refused.value)
    assert "secret:" not in str(refused.value).replace("the secret", "")


def test_a_missing_file_or_directory_is_named(tmp_path):
    with pytest.raises(keys.KeyFileError, match="No such file"):
        keys.read(tmp_path / "nothing")
    with pytest.raises(keys.KeyFileError, match="cannot be made"):
        keys.ensure(tmp_path / "no" / "directory")
    with pytest.raises(keys.KeyFileError, match="not a regular file"):
        keys.read(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(keys.KeyFileError, match="not a regular file"):
        keys.read(tmp_path / "fifo")


def test_a_key_may_come_from_the_environment():
    assert keys.from_environment({}) is None
    assert keys.from_environment({keys.ID_VARIABLE: "", keys.SECRET_VARIABLE: ""}) is None
    both = {keys.ID_VARIABLE: "AKIAIOSFODNN7EXAMPLE", keys.SECRET_VARIABLE: "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"}
    assert keys.from_environment(both) == ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY")
    for missing in both:
        half = {name: value for name, value in both.items() if name != missing}
        with pytest.raises(keys.KeyFileError, match=f"{missing} is not"):
            keys.from_environment(half)


def test_a_bad_key_in_the_environment_is_not_repeated():
    with pytest.raises(keys.KeyFileError) as refused:
        keys.from_environment({keys.ID_VARIABLE: "k", keys.SECRET_VARIABLE: "hush hush"})
    assert "hush" not in str(refused.value)


def test_errors_are_setting_errors_for_the_command_line():
    assert issubclass(keys.KeyFileError, SettingError)


def test_secrets_do_not_show_in_tracebacks():
    key = keys.generate()
    assert key.secret not in repr(key)
    assert key.secret not in f"{[key]}"


def test_a_keyring_knows_its_keys_and_no_others():
    one, two = keys.generate(), keys.generate()
    ring = keys.Keyring([one, two])
    assert ring.secret(one.id) == one.secret
    assert ring.secret(two.id) == two.secret
    assert ring.secret("AKIAOTHER") is None


def test_botocore_takes_our_keys():
    key = keys.generate()
    session = botocore.session.get_session()
    session.set_credentials(key.id, key.secret)
    assert session.get_credentials().access_key == key.id
