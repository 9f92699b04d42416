"""Where secrets are looked for, what is found there, and what is said when there is nothing."""

from __future__ import annotations

import json

import pytest

from batchyard.grants import calls
from batchyard.grants.references import PARAMETER, SECRET, parse
from batchyard.ports.grants import NotGranted
from tests.grants.conftest import KEYS

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db"
REGION = "us-east-1"


def put(path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


# -- what is named ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "expected"),
    [
        (ARN, SECRET, (ARN, ("prod/db", "prod/db-AbCdEf"), "eu-west-1", "", "", "")),
        (f"{ARN}:user::", SECRET, (ARN, ("prod/db", "prod/db-AbCdEf"), "eu-west-1", "user", "", "")),
        (
            f"{ARN}::AWSPREVIOUS:v-1",
            SECRET,
            (ARN, ("prod/db", "prod/db-AbCdEf"), "eu-west-1", "", "AWSPREVIOUS", "v-1"),
        ),
        (ARN[:-7], SECRET, (ARN[:-7], ("prod/db",), "eu-west-1", "", "", "")),
        (PARAMETER_ARN, PARAMETER, (PARAMETER_ARN, ("prod/db",), "eu-west-1", "", "", "")),
        ("/prod/db", PARAMETER, ("/prod/db", ("prod/db",), REGION, "", "", "")),
        ("plain", PARAMETER, ("plain", ("plain",), REGION, "", "", "")),
        ("plain:3", PARAMETER, ("plain:3", (), REGION, "", "", "")),
    ],
)
def test_what_a_definition_names_is_taken_apart(given, kind, expected):
    assert parse(given, REGION) == (kind, *expected)


@pytest.mark.parametrize(
    "given",
    ["", "a b", "arn:aws:s3:::bucket", "arn:aws", "arn:aws:ssm:r:1:document/x", f"{ARN}:key", f"{ARN}:::::", "x\0y"],
)
def test_what_names_neither_secret_nor_parameter_is_refused(given):
    with pytest.raises(NotGranted):
        parse(given, REGION)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [ARN, PARAMETER_ARN, "prod/db", "/prod/db"])
def test_a_file_has_the_secret_of_its_name(desk, tmp_path, given):
    put(tmp_path / "s/prod/db", "pass wörd \n")
    assert desk(secrets_dir=str(tmp_path / "s")).secret(given, REGION) == "pass wörd "


def test_a_member_of_a_secret_is_taken_out_of_its_json(desk, tmp_path):
    put(tmp_path / "s/prod/db-AbCdEf", json.dumps({"user": "u", "port": 5432}))
    found = desk(secrets_dir=str(tmp_path / "s"))
    assert (found.secret(f"{ARN}:user::", REGION), found.secret(f"{ARN}:port::", REGION)) == ("u", "5432")
    with pytest.raises(NotGranted, match="holds no JSON object with a member password"):
        found.secret(f"{ARN}:password::", REGION)


@pytest.mark.parametrize(
    ("text", "mode", "said"), [("x", 0o644, "mode 0644"), ("x" * 70_000, 0o600, "longer"), ("a\0b", 0o600, "NUL")]
)
def test_a_file_that_must_not_be_used_is_named_and_its_text_is_not(desk, tmp_path, text, mode, said):
    put(tmp_path / "s/db", text, mode)
    with pytest.raises(NotGranted, match=said) as refused:
        desk(secrets_dir=str(tmp_path / "s")).secret("db", REGION)
    assert str(tmp_path / "s/db") in str(refused.value)
    assert text not in str(refused.value).replace(str(tmp_path), "")[:50]


@pytest.mark.parametrize("given", ["../outside", "a/../../outside", "/../outside", "a//b", "."])
def test_nobody_leaves_the_directory(desk, tmp_path, given):
    put(tmp_path / "outside", "x")
    put(tmp_path / "s/a/b", "y")
    with pytest.raises(NotGranted, match="not in the directory"):
        desk(secrets_dir=str(tmp_path / "s")).secret(given, REGION)


# -- variables --------------------------------------------------------------------------------------------------------


def test_a_variable_of_the_server_has_it_under_its_prefix(desk):
    found = desk({"JOB_PROD_DB": "from-variable"}, secrets_env="JOB_")
    assert [found.secret(given, REGION) for given in (ARN, "/prod/db", "prod-db")] == ["from-variable"] * 3


def test_files_come_first_and_hold_present_versions_only(desk, tmp_path, elsewhere):
    put(tmp_path / "s/prod/db", "file")
    elsewhere.answers = [(200, b'{"SecretString": "older"}')]
    environ = {"JOB_PROD_DB": "variable", **KEYS, "AWS_ENDPOINT_URL_SECRETS_MANAGER": elsewhere.url}
    found = desk(environ, secrets_dir=str(tmp_path / "s"), secrets_env="JOB_")
    assert found.secret(f"{ARN}::AWSCURRENT:", REGION) == "file"
    assert found.secret(f"{ARN}::AWSPREVIOUS:", REGION) == "older"


# -- services ---------------------------------------------------------------------------------------------------------


def test_secrets_manager_is_asked_in_the_region_of_the_secret(desk, elsewhere):
    elsewhere.answers = [(200, b'{"SecretString": "s3cret"}')]
    found = desk(KEYS, secretsmanager_url=elsewhere.url)
    assert found.secret(f"{ARN}::AWSPREVIOUS:v1", REGION) == "s3cret"
    (asked,) = elsewhere.asked
    assert json.loads(asked.body) == {"SecretId": ARN, "VersionStage": "AWSPREVIOUS", "VersionId": "v1"}
    assert asked.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert "/eu-west-1/secretsmanager/aws4_request" in asked.headers["authorization"]


def test_parameters_are_asked_decrypted_of_the_general_endpoint_if_there_is_no_other(desk, elsewhere):
    elsewhere.answers = [(200, b'{"Parameter": {"Value": "v"}}')]
    environ = KEYS | {"AWS_SESSION_TOKEN": "session", "AWS_ENDPOINT_URL": elsewhere.url}
    assert desk(environ).secret("/prod/db", REGION) == "v"
    (asked,) = elsewhere.asked
    assert json.loads(asked.body) == {"Name": "/prod/db", "WithDecryption": True}
    assert asked.headers["x-amz-security-token"] == "session"
    assert "x-amz-security-token" in asked.headers["authorization"]


def test_what_fails_for_a_moment_is_asked_again(desk, elsewhere):
    throttled = json.dumps({"__type": "com.amazonaws#ThrottlingException", "message": "slow"}).encode()
    elsewhere.answers = [(500, b"<html>"), (400, throttled), (200, b'{"SecretString": "s"}')]
    assert desk(KEYS, secretsmanager_url=elsewhere.url).secret(ARN, REGION) == "s"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b'{"__type": "AccessDeniedException", "Message": "no"}'), "AccessDeniedException: no"),
        ((403, b"nonsense"), ": 403"),
        ((200, b"nonsense"), "something else than a JSON object"),
        ((200, b'{"SecretBinary": "eA=="}'), "holds no text"),
        ((500, b""), ": 500"),
    ],
)
def test_what_the_service_says_is_passed_on(desk, elsewhere, answer, said):
    elsewhere.answers = [answer]
    with pytest.raises(NotGranted) as refused:
        desk(KEYS, secretsmanager_url=elsewhere.url).secret(ARN, REGION)
    assert said in str(refused.value)
    assert ARN in str(refused.value)
    assert elsewhere.url in str(refused.value)


def test_an_answer_without_end_is_not_taken(desk, elsewhere, monkeypatch):
    monkeypatch.setattr(calls, "ANSWER_MAX", 100)
    elsewhere.answers = [(200, json.dumps({"SecretString": "x" * 200}).encode())]
    with pytest.raises(NotGranted, match="larger than 100 bytes"):
        desk(KEYS, secretsmanager_url=elsewhere.url).secret(ARN, REGION)


def test_an_answer_that_drips_is_not_waited_for(desk, elsewhere, monkeypatch):
    monkeypatch.setattr(calls, "ANSWER_S", -1.0)
    elsewhere.answers = [(200, b'{"SecretString": "s"}')]
    with pytest.raises(NotGranted, match="or takes -1 s"):
        desk(KEYS, secretsmanager_url=elsewhere.url).secret(ARN, REGION)


def test_nobody_answers(desk):
    with pytest.raises(NotGranted, match="127.0.0.1:1: Connection refused"):
        desk(KEYS, ssm_url="http://127.0.0.1:1").secret("db", REGION)


def test_a_server_without_credentials_says_which_it_needs(desk, elsewhere):
    with pytest.raises(NotGranted, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment"):
        desk(secretsmanager_url=elsewhere.url).secret(ARN, REGION)


# -- nowhere ----------------------------------------------------------------------------------------------------------


def test_each_place_where_it_is_not_is_named(desk, tmp_path, elsewhere):
    elsewhere.answers = [(400, b'{"__type": "ResourceNotFoundException", "Message": "x"}')]
    found = desk(KEYS, secrets_dir=str(tmp_path), secrets_env="JOB_", secretsmanager_url=elsewhere.url)
    with pytest.raises(NotGranted) as refused:
        found.secret(ARN, REGION)
    assert str(refused.value) == (
        f"{ARN} is not in the directory {tmp_path}; not in the server's variable JOB_PROD_DB; "
        f"not at {elsewhere.url} (ResourceNotFoundException)"
    )


def test_where_nothing_is_set_the_settings_are_named(desk):
    with pytest.raises(NotGranted, match="give one of the settings secrets_dir, secrets_env and ssm_url"):
        desk({"AWS_ENDPOINT_URL": "http://localhost:22824"}).secret("db", REGION)
    with pytest.raises(NotGranted, match="give the setting secretsmanager_url, which alone has older versions"):
        desk().secret(f"{ARN}:::v1", REGION)


# -- registries -------------------------------------------------------------------------------------------------------


def test_a_registrys_secret_is_a_name_or_an_arn(desk, tmp_path):
    put(tmp_path / "s/prod/db", json.dumps({"username": "u", "password": "p"}))
    found = desk(secrets_dir=str(tmp_path / "s"))
    assert found.registry("prod/db", REGION) == found.registry(ARN, REGION) == {"username": "u", "password": "p"}


@pytest.mark.parametrize("text", ["x", "[]", '{"username": "u"}'])
def test_a_registrys_secret_without_both_is_refused(desk, tmp_path, text):
    put(tmp_path / "s/reg", text)
    with pytest.raises(NotGranted, match="no JSON object with username and password"):
        desk(secrets_dir=str(tmp_path / "s")).registry("reg", REGION)


# -- many at once -----------------------------------------------------------------------------------------------------


def test_tasks_that_start_together_ask_once(desk, elsewhere):
    elsewhere.answers = [(200, b'{"SecretString": "{\\"a\\": \\"1\\", \\"b\\": \\"2\\"}"}')]
    found = desk(KEYS, secretsmanager_url=elsewhere.url)
    assert [found.secret(f"{ARN}:{key}::", REGION) for key in "abab"] == ["1", "2", "1", "2"]
    assert len(elsewhere.asked) == 1
