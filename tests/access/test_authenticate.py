"""Who is let in: only the untouched request of a known key, at the right time."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.access import sigv4
from batchyard.access.authenticate import Caller, SignedRequest, authenticate
from batchyard.access.keys import Key, Keyring
from batchyard.errors import ApiError, BadSignature, NotSigned, UnknownKey

KEY = Key("BYAKEXAMPLEEXAMPLE22", "a-secret-that-nobody-may-see")
RING = Keyring([KEY])
WALL_S = datetime(2026, 11, 21, 8, 30, 15, tzinfo=UTC).timestamp()
AMZ_DATE = "20261121T083015Z"
HEADERS = {"Host": "localhost:22824", "Content-Type": "application/json", "X-Amz-Security-Token": "t", "X-B": "1"}
BODY = b'{"jobName": "a"}'


def request(
    method="POST",
    path="/v1/submitjob",
    query="a=1&b=2",
    headers=HEADERS,
    body=BODY,
    key=KEY,
    amz_date=AMZ_DATE,
    **scope,
):
    region, service = scope.get("region", "eu-west-1"), scope.get("service", "batch")
    added = sigv4.sign(method, path, query, headers, body, *key, region, service, amz_date)
    return SignedRequest(method, path, query, pairs({**headers, **added}), body)


def pairs(headers):
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def replaced(signed, name, value):
    return signed._replace(headers=[(each, value if each == name else old) for each, old in signed.headers])


def refusal(signed, wall_s=WALL_S, directory=RING):
    with pytest.raises(ApiError) as refused:
        authenticate(signed, directory, wall_s)
    assert KEY.secret not in refused.value.message
    assert sigv4.parse_authorization(request().headers[-1][1].decode()).signature not in refused.value.message
    assert refused.value.status == 403
    return refused.value


def test_the_scope_says_region_and_service():
    for service in ("batch", "logs", "sts", "x"):
        signed = request(region="us-gov-west-1", service=service)
        assert authenticate(signed, RING, WALL_S) == Caller(KEY.id, "us-gov-west-1", service)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda signed: signed._replace(method="DELETE"),
        lambda signed: signed._replace(raw_path="/v1/terminatejob"),
        lambda signed: signed._replace(raw_path="/v1/submitjob/"),
        lambda signed: signed._replace(query="a=1&b=3"),
        lambda signed: signed._replace(query="a=1&b=2&c"),
        lambda signed: signed._replace(query=""),
        lambda signed: signed._replace(body=b""),
        lambda signed: signed._replace(body=BODY + b" "),
        lambda signed: replaced(signed, b"host", b"evil.example"),
        lambda signed: replaced(signed, b"content-type", b"text/plain"),
        lambda signed: replaced(signed, b"x-amz-security-token", b"u"),
        lambda signed: replaced(signed, b"x-amz-date", b"20261121T083016Z"),
        lambda signed: signed._replace(headers=[*signed.headers, (b"x-b", b"2")]),
        lambda signed: signed._replace(headers=[*signed.headers, (b"x-amz-target", b"Logs_20140328.GetLogEvents")]),
        lambda signed: signed._replace(headers=[*signed.headers, (b"x-amz-date", AMZ_DATE.encode())]),
        lambda signed: signed._replace(headers=[pair for pair in signed.headers if pair[0] != b"x-b"]),
    ],
)
def test_any_change_is_noticed(tamper):
    signed = request()
    authenticate(signed, RING, WALL_S)
    assert isinstance(refusal(tamper(signed)), BadSignature)


@settings(deadline=None, print_blob=True)
@given(st.integers(0, 10_000), st.characters(min_codepoint=33, max_codepoint=126))
def test_any_change_of_the_authorization_header_is_noticed(position, letter):
    signed = request()
    header = signed.headers[-1][1].decode()
    position %= len(header)
    changed = header[:position] + letter + header[position + 1 :]
    if changed != header:
        assert refusal(replaced(signed, b"authorization", changed.encode())).status == 403


@settings(deadline=None, print_blob=True)
@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 255))
def test_any_change_of_the_body_is_noticed(body, position, value):
    signed = request(body=body)
    changed = bytearray(body or b"\0")
    changed[position % len(changed)] = value
    if bytes(changed) != body:
        assert isinstance(refusal(signed._replace(body=bytes(changed))), BadSignature)


def test_another_secret_does_not_match():
    refused = refusal(request(key=Key(KEY.id, "another")))
    assert isinstance(refused, BadSignature)
    assert "batchyard env" in refused.message


def test_an_unknown_key_is_named_with_the_next_step():
    refused = refusal(request(key=Key("AKIAOTHER", KEY.secret)))
    assert isinstance(refused, UnknownKey)
    assert "AKIAOTHER" in refused.message
    assert "batchyard env" in refused.message


@pytest.mark.parametrize("skew_s", [-900, -899, 0, 899, 900])
def test_fifteen_minutes_of_skew_are_allowed(skew_s):
    authenticate(request(), RING, WALL_S + skew_s)


@pytest.mark.parametrize(("skew_s", "says"), [(901, "expired"), (-901, "not yet current"), (86400 * 365, "expired")])
def test_more_skew_is_refused_with_both_times(skew_s, says):
    refused = refusal(request(), wall_s=WALL_S + skew_s)
    assert isinstance(refused, BadSignature)
    assert says in refused.message
    assert AMZ_DATE in refused.message
    assert datetime.fromtimestamp(WALL_S + skew_s, UTC).strftime("%Y%m%dT%H%M%SZ") in refused.message


def test_no_header_is_not_signed():
    signed = request()
    bare = signed._replace(headers=[pair for pair in signed.headers if pair[0] != b"authorization"])
    assert isinstance(refusal(bare), NotSigned)
    presigned = bare._replace(query="X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K&X-Amz-Signature=0")
    assert "presigned" in refusal(presigned).message
    twice = signed._replace(headers=[*signed.headers, signed.headers[-1]])
    assert "2 Authorization headers" in refusal(twice).message


@pytest.mark.parametrize("service", ["s3", "ec2", "BATCH"])
def test_other_services_are_refused(service):
    refused = refusal(request(service=service))
    assert isinstance(refused, BadSignature)
    assert service in refused.message


def test_odd_regions_are_refused():
    assert "US_EAST" in refusal(request(region="US_EAST")).message


@pytest.mark.parametrize("declared", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64])
def test_the_body_must_be_signed(declared):
    refused = refusal(request(headers={**HEADERS, "X-Amz-Content-SHA256": declared}))
    assert isinstance(refused, BadSignature)
    assert "X-Amz-Content-SHA256" in refused.message


@pytest.mark.parametrize("unsigned", ["host", "x-amz-security-token"])
def test_host_and_amz_headers_must_be_signed(unsigned):
    headers = [(name.decode(), value.decode()) for name, value in request().headers if name != b"authorization"]
    names = sorted({name for name, _ in headers} - {unsigned})
    scope = sigv4.Scope(AMZ_DATE[:8], "eu-west-1", "batch")
    canonical = sigv4.canonical_request("POST", "/", "", sigv4.by_name(headers), names, sigv4.sha256(b"").hexdigest())
    signature = sigv4.signature(KEY.secret, scope, sigv4.string_to_sign(AMZ_DATE, scope, canonical))
    header = f"{sigv4.ALGORITHM} Credential={KEY.id}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    sent = SignedRequest("POST", "/", "", [*pairs(dict(headers)), (b"authorization", header.encode())], b"")
    assert unsigned in refusal(sent).message
    assert "must be signed" in refusal(sent).message


@pytest.mark.parametrize(
    "amz_date", ["20261121T083015", "20261121T8305Z00", "2026-11-21T08:30:15Z", "20261399T083015Z", ""]
)
def test_a_time_that_is_none_is_not_signed(amz_date):
    signed = replaced(request(), b"x-amz-date", amz_date.encode())
    assert isinstance(refusal(signed), NotSigned)


def by_date_header(date):
    """A request as botocore signs it when it already has a Date header: without X-Amz-Date."""
    headers = [("host", "h"), ("date", date)]
    scope = sigv4.Scope(AMZ_DATE[:8], "eu-west-1", "batch")
    canonical = sigv4.canonical_request(
        "GET", "/", "", sigv4.by_name(headers), ["date", "host"], sigv4.sha256(b"").hexdigest()
    )
    signature = sigv4.signature(KEY.secret, scope, sigv4.string_to_sign(AMZ_DATE, scope, canonical))
    header = f"{sigv4.ALGORITHM} Credential={KEY.id}/{scope}, SignedHeaders=date;host, Signature={signature}"
    return SignedRequest("GET", "/", "", pairs(dict([*headers, ("authorization", header)])), b"")


def test_the_date_header_will_do():
    moment = datetime.fromtimestamp(WALL_S, UTC)
    assert authenticate(by_date_header(format_datetime(moment)), RING, WALL_S).service == "batch"
    assert isinstance(refusal(by_date_header("yesterday")), NotSigned)
    assert isinstance(refusal(by_date_header("Mon, 01 Jan 0001 00:00:00 +2300")), NotSigned | BadSignature)


def test_a_scope_of_another_day_is_refused():
    signed = request(amz_date="20261121T083015Z")
    header = signed.headers[-1][1].replace(b"/20261121/", b"/20261120/")
    assert "20261120 is not 20261121" in refusal(replaced(signed, b"authorization", header)).message


@settings(deadline=None, print_blob=True)
@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"host", b"x-amz-date", b"date"]), st.binary(max_size=40)))
)
def test_any_headers_are_refused_politely(headers):
    refusal(SignedRequest("POST", "/", "", headers, b""))
