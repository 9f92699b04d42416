"""Settings: one table, four sources, one meaning; whatever is wrong is named with its source."""

from __future__ import annotations

import json
import os
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchyard import config
from batchyard.config import SETTINGS, SettingError, kinds, load, resolve


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory that is the current one and HOME."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


# -- one meaning ---------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAMES = st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=3)


def values_of(setting: config.Setting) -> st.SearchStrategy:
    """What a setting can be, as a TOML file says it."""
    if setting.kind.toml is bool:
        return st.booleans()
    if setting.kind.toml is int:
        return st.integers(-3, 70_000) | st.integers(kinds.MOST - 1, kinds.MOST + 1)
    if setting.kind.toml is list:
        return NAMES
    texts = [setting.default] if setting.default else []
    return WORDS | st.sampled_from(["json", "text", "info", "123456789012", "localhost", "::1", *texts])


def toml(value) -> str:
    """A value as TOML writes it; JSON's texts, numbers, lists and switches are TOML's."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def outcome(**given):
    try:
        return load(**given)
    except SettingError:
        return "refused"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_same_value_by_flag_variable_and_file_is_the_same_setting(setting, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    file = here / "batchyard.toml"

    @given(value=values_of(setting))
    def same(value):
        file.write_text(f"{setting.name} = {toml(value)}\n" if _plain(value) else "", encoding="utf-8")
        said = ",".join(value) if isinstance(value, list) else str(value)
        by_file = outcome(environ={"HOME": str(here)}, config=str(file)) if _plain(value) else None
        file.write_text("")
        by_flag = outcome(flags={setting.name: said}, environ={"HOME": str(here)})
        by_variable = outcome(flags={}, environ={"HOME": str(here), setting.variable: said})
        assert by_flag == by_variable
        assert by_file in (None, by_flag)
        if setting.kind.toml is bool and by_flag != "refused":
            assert getattr(by_flag, setting.name) is value

    same()


def _plain(value) -> bool:
    """JSON writes letters beyond this as two escapes, which TOML does not join."""
    return not isinstance(value, str) or all(ord(letter) < 0x10000 for letter in value)


@pytest.mark.parametrize(
    ("text", "meant"), [("yes", True), ("TRUE", True), ("on", True), ("1", True), ("no", False), ("0", False)]
)
def test_a_switch_is_said_in_many_ways(here, text, meant):
    assert load(environ={"BATCHYARD_QUIT_RUNNER": text}).quit_runner is meant


def test_flags_win_over_variables_those_over_the_file_and_that_over_defaults(here):
    file = write(here / "s.toml", 'port = 1\nvcpus = 2\naccount = "111111111111"\n')
    environ = {"BATCHYARD_PORT": "3", "BATCHYARD_VCPUS": "4", "BATCHYARD_GPUS": ""}
    found = resolve({"port": "5", "gpus": None}, environ, file)
    assert (found.settings.port, found.settings.vcpus, found.settings.account) == (5, 4, "111111111111")
    assert (found.settings.gpus, found.settings.stop_grace_s) == (-1, 30)
    origins = [found.origins[name] for name in ("port", "vcpus", "account", "gpus")]
    assert origins == ["--port", "BATCHYARD_VCPUS", file, "default"]


def test_the_file_is_looked_for_here_and_then_at_home(here):
    at_home = write(here / ".config/batchyard/config.toml", "port = 7\n")
    environ = {"HOME": str(here)}
    assert (load(environ=environ).port, resolve(environ=environ).file) == (7, here / ".config/batchyard/config.toml")
    write(here / "batchyard.toml", "port = 8\n")
    assert load(environ=environ).port == 8
    assert load(environ=environ, config=at_home).port == 7


def test_paths_are_relative_to_the_file_that_names_them_and_else_to_where_we_are(here, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    file = write(away / "s.toml", 'data = "d/../e"\naccess_key_file = "~/key"\n')
    assert load(environ={}, config=file).data == str(away / "e")
    assert load(environ={}, config=file).access_key_file == str(here / "key")
    assert load(environ={"BATCHYARD_DATA": "f"}, config=file).data == str(here / "f")
    assert load({"access_key_file": "../k"}, {}, config=file).access_key_file == str(here.parent / "k")
    assert load({}, {}).access_key_file == ""
    assert load({}, {}, config=os.path.relpath(file)).data == str(away / "e")


def test_without_a_data_directory_the_usual_one(here, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert load(environ={"HOME": "/h"}).data == "/h/.local/share/batchyard"
    assert load({"data": ""}, {"HOME": "/h", "XDG_DATA_HOME": "/x"}).data == "/x/batchyard"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert load(environ={}).data == "/var/lib/batchyard"


def test_a_process_of_the_server_gets_them_as_they_were(here):
    settings = load({"process_pass_env": "A,B", "quit_runner": True, "data": "ä"}, {})
    assert config.restore(settings.dump()) == settings


@pytest.mark.parametrize(
    "url", ["http://h", "HTTPS://h.example:8443/p/q?token=1,2&x=%2C", "http://[::1]:80/x", "http://user:word@my-host/"]
)
def test_a_webhook_is_any_address_that_can_be_posted_to(here, url):
    file = write(here / "s.toml", f"event_webhooks = [{toml(url)}]")
    assert load(environ={}, config=file).event_webhooks == (url,)


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "h/path", "http://", "http:///p", "http://h:0/", "http://h:99999/", "http://h/ä", "http://h/a b",
     "http://h/#f", "http://[x/", "http://h/\nx", "file:///etc/passwd"],
)  # fmt: skip
def test_what_cannot_be_posted_to_is_refused_as_a_webhook(here, url):
    with pytest.raises(SettingError, match="event_webhooks .* must be a URL such as https://host:port/path"):
        load({"event_webhooks": url}, {})


def test_webhooks_are_given_by_commas(here):
    assert load({"event_webhooks": "http://a/, http://b/x%2Cy"}, {}).event_webhooks == ("http://a/", "http://b/x%2Cy")


# -- what is wrong is named ----------------------------------------------------------------------------------------


def refusal(here, text: str) -> str:
    file = write(here / "s.toml", text)
    with pytest.raises(SettingError) as caught:
        load(environ={}, config=file)
    source, _, said = str(caught.value).partition(": ")
    assert source == file
    return said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean port?"),
        ("access-key-file = 'x'", "there is no setting 'access-key-file'; did you mean access_key_file?"),
        ("BATCHYARD_PORT = 1", "there is no setting 'BATCHYARD_PORT'; did you mean port?"),
        ("[server]\nport = 1", "there is no setting 'server'; known are access_key_file, account, "),
        ("port = '1'", "port = '1' must be a whole number, without quotes"),
        ("port = true", "port = True must be a whole number, without quotes"),
        ("port = 1.0", "port = 1.0 must be a whole number, without quotes"),
        ("port = 70000", "port = 70000 must be a port, 0 to 65535 (0: any free one)"),
        ("vcpus = -1", "vcpus = -1 must not be negative"),
        ("memory = 10000000000", "memory = 10000000000 must be at most 1000000000"),
        ("log_max_mib = 0", "log_max_mib = 0 must be at least 1"),
        ("account = 123456789012", "account = 123456789012 must be text in quotes, such as \"x\""),
        ("account = '١٢٣٤٥٦٧٨٩٠١٢'", "account = '١٢٣٤٥٦٧٨٩٠١٢' must be 12 digits"),
        ("quit_runner = 'yes'", "quit_runner = 'yes' must be true or false, without quotes"),
        ("process_pass_env = 'A,B'", "process_pass_env = 'A,B' must be a list, such as [\"A\", \"B\"]"),
        ("process_pass_env = ['A,B']", "process_pass_env = ['A,B'] must be names, without commas"),
        ("process_pass_env = [1]", "process_pass_env = [1] must be names, without commas"),
        ("data = \"a\\u0000b\"", "data = 'a\\x00b' must not hold a NUL character"),
        ("host = '0.0.0.0'", "host = '0.0.0.0' must be a loopback address: 127.0.0.1, ::1 or localhost"),
        ("log_level = 'loud'", "log_level = 'loud' must be debug, info, warning or error"),
        ("event_webhooks = ['http://u:hunter2@/x']", "event_webhooks (its value is not shown) must be a URL such as"),
        ("event_webhooks = [1]", "event_webhooks (its value is not shown) must be URLs"),
        ("eventbridge_url = 'https://u:p@h/'", "eventbridge_url = 'https://u:p@h/' must be a URL without user"),
        ("eventbridge_url = 'ftp://h'", "eventbridge_url = 'ftp://h' must be a URL such as https://host:port/path"),
        ("on_event = \"a 'b\"", "on_event = \"a 'b\" must be a command and its arguments, as in a shell: No closing"),
        ("on_event = ' '", "on_event = ' ' must be a command and its arguments, as in a shell"),
        ("port = ", "it is not TOML: "),
        ("port = 1\nport = 2", "it is not TOML: "),
    ],
)  # fmt: skip
def test_what_a_file_has_wrong_is_named_with_what_would_be_right(here, text, said):
    assert refusal(here, text).startswith(said)


def test_a_file_that_cannot_be_read_is_named(here):
    with pytest.raises(SettingError, match="nowhere.toml: No such file or directory"):
        load(environ={}, config=str(here / "nowhere.toml"))
    with pytest.raises(SettingError, match=f"{here}: Is a directory"):
        load(environ={}, config=str(here))
    (here / "s.toml").write_bytes(b"data = '\xff'")
    with pytest.raises(SettingError, match="must be text in UTF-8"):
        load(environ={}, config=str(here / "s.toml"))


@pytest.mark.parametrize("text", ["1e3", "1_000", "0x10", "", " ", "12 3", "9" * 5000, "٣", "1.0"])
def test_a_number_in_a_flag_is_digits(here, text):
    with pytest.raises(SettingError, match="^flags: vcpus = .* must be a whole number$"):
        load({"vcpus": text}, {})


def test_a_secret_that_is_wrong_is_not_repeated(here, monkeypatch):
    secret = config.Setting("port", SETTINGS[2].kind, 1, "x", "y", secret=True)
    monkeypatch.setitem(config._BY_NAME, "port", secret)
    with pytest.raises(SettingError) as caught:
        load({"port": "hunter2"}, {})
    assert str(caught.value) == "flags: port (its value is not shown) must be a whole number"


def test_a_file_that_holds_a_secret_is_known(here, monkeypatch):
    file = write(here / "s.toml", 'process_path = "/x"\nport = 1\n')
    assert load(environ={}, config=file).secrets_in == ""
    rows = tuple(row._replace(secret=row.name == "process_path") for row in SETTINGS)
    monkeypatch.setattr(config, "SETTINGS", rows)
    assert load(environ={}, config=file).secrets_in == file
    assert load({"process_path": "/y"}, {}, config=file).secrets_in == "", "it came from elsewhere"


def test_variables_of_our_prefix_that_mean_nothing_are_found():
    environ = {"BATCHYARD_PROT": "1", "BATCHYARD_PORT": "1", "BATCHYARD_ENDPOINT": "x", "PROT": "1"}
    assert config.strangers(environ) == ["BATCHYARD_PROT"]
    assert config.nearest("BATCHYARD_PROT") == "did you mean port?"
    assert config.nearest("BATCHYARD_XYZZY_FROB") == ""


@given(text=st.text(max_size=40) | st.text("port=1'\"[]{}\n.", max_size=20))
@example(text="port=1e999")
@example(text="port=0")
def test_no_file_whatever_is_a_traceback(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        understood = set(tomllib.loads(file.read_text())) <= set(config._BY_NAME)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        understood = False
    assert understood or outcome(environ={}, config=str(file)) == "refused"
    if text == "port=0":
        assert outcome(environ={}, config=str(file)).port == 0
