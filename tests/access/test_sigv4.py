"""botocore's signer as oracle: it signs and we verify, we sign and its signature is the same."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote, urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.access import sigv4
from batchyard.access.authenticate import Caller, SignedRequest, authenticate
from batchyard.access.keys import Key, Keyring
from batchyard.errors import NotSigned

KEY = Key("BYAKEXAMPLEEXAMPLE22", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = datetime(2026, 11, 21, 8, 30, 15, tzinfo=UTC)
AMZ_DATE = "20261121T083015Z"
HOST = "127.0.0.1:22824"
ARN = "arn:aws:batch:us-east-1:123456789012:job-definition/d:7"

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
segments = st.one_of(
    st.sampled_from(["v1", "tags", "", ".", "..", quote(ARN, safe=""), "a%2Fb", "%25", "~a-b_c.d", "x:y@z"]),
    anything.map(lambda text: quote(text, safe="")),
)
paths = st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts)).filter(lambda path: path[:2] != "//")
queries = st.lists(st.tuples(anything, anything), max_size=4).map(lambda pairs: urlencode(pairs, quote_via=quote))
raw_queries = queries | st.lists(st.sampled_from(["b", "a=", "a=2", "a=1", "tagKeys=x%20y", "c=d=e"]), max_size=4).map(
    "&".join
)
token = st.text("ABCxyz019-", min_size=1, max_size=8).map(lambda name: "x-" + name)
header_values = st.one_of(
    printable,
    st.sampled_from(["  two  spaces  ", "a,b", 'a; b="c  d"', "\t tab", ""]),
    anything.filter(lambda text: not set(text) & set("\r\n")),
)
headers = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["Content-Type", "X-Amz-Target", "X-Amz-Security-Token", "amz-sdk-invocation-id", "User-Agent", "Date"]
        ),
        token,
    ),
    header_values,
    max_size=5,
).filter(lambda chosen: len({name.lower() for name in chosen}) == len(chosen))
methods = st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"])
services = st.sampled_from(["batch", "logs", "sts", "x"])
regions = st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1"])


def signed_by_botocore(method, path, query, given_headers, body, service, region):
    """The request as it goes over the wire: (name, value) pairs, the host included."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, data=body, headers={**given_headers, "Host": HOST})
    with patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        SigV4Auth(Credentials(KEY.id, KEY.secret), service, region).add_auth(request)
    return list(request.headers.items())


def received(pairs):
    return [(name.lower().encode(), value.encode()) for name, value in pairs]


@settings(deadline=None, print_blob=True)
@given(methods, paths, raw_queries, headers, st.binary(max_size=40), services, regions)
def test_what_botocore_signs_we_accept(method, path, query, given_headers, body, service, region):
    pairs = signed_by_botocore(method, path, query, given_headers, body, service, region)
    request = SignedRequest(method, path, query, received(pairs), body)
    assert authenticate(request, Keyring([KEY]), MOMENT.timestamp()) == Caller(KEY.id, region, service)


@settings(deadline=None, print_blob=True)
@given(methods, paths, raw_queries, headers, st.binary(max_size=40), services, regions)
def test_what_we_sign_is_what_botocore_signs(method, path, query, given_headers, body, service, region):
    given_headers.pop("Date", None)  # botocore then leaves X-Amz-Date away; we always send it
    theirs = dict(signed_by_botocore(method, path, query, given_headers, body, service, region))
    ours = sigv4.sign(method, path, query, {**given_headers, "Host": HOST}, body, *KEY, region, service, AMZ_DATE)
    assert ours == {"Authorization": theirs["Authorization"], "X-Amz-Date": theirs["X-Amz-Date"]}


@settings(deadline=None, print_blob=True)
@given(methods, paths, raw_queries, headers, st.binary(max_size=40), services, regions)
def test_what_we_sign_we_accept(method, path, query, given_headers, body, service, region):
    sent = {**given_headers, "Host": HOST}
    sent = {**sent, **sigv4.sign(method, path, query, sent, body, *KEY, region, service, AMZ_DATE)}
    request = SignedRequest(method, path, query, received(sent.items()), body)
    assert authenticate(request, Keyring([KEY]), MOMENT.timestamp()).service == service


@pytest.mark.parametrize(
    ("raw_path", "signed"),
    [
        ("/", "/"),
        ("", "/"),
        ("/v1/tags/arn%3Aaws%2Fq", "/v1/tags/arn%253Aaws%252Fq"),
        ("/v1/tags/arn:aws/q", "/v1/tags/arn%3Aaws/q"),
        ("/a//b/./c/../d/", "/a/b/d/"),
        ("/../..", "/"),
        ("/a~b-c_d.e", "/a~b-c_d.e"),
        ("/a b", "/a%20b"),
    ],
)
def test_paths_are_encoded_once_more_than_sent(raw_path, signed):
    assert sigv4.canonical_path(raw_path) == signed


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1", "a=1&a=2"),
        ("flag", "flag="),
        ("a=b=c", "a=b=c"),
        ("a=%20&A=", "A=&a=%20"),
    ],
)
def test_queries_are_sorted_as_they_stand(query, signed):
    assert sigv4.canonical_query(query) == signed


def test_repeated_headers_are_joined_in_their_order():
    sent = sigv4.by_name([("x-b", " 2  3 "), ("host", "h"), ("x-b", "1"), ("x-c", "no")])
    canonical = sigv4.canonical_request("GET", "/", "", sent, ["x-b", "host"], "hash")
    assert canonical == "GET\n/\n\nhost:h\nx-b:2 3,1\n\nhost;x-b\nhash"


def test_the_host_must_be_given_to_sign():
    with pytest.raises(ValueError, match="Host"):
        sigv4.sign("GET", "/", "", {}, b"", *KEY, "us-east-1", "batch", AMZ_DATE)


SIGNATURE = "0" * 64
CREDENTIAL = "K/20261121/us-east-1/batch/aws4_request"
GOOD = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-a, Signature={SIGNATURE}"


def test_an_authorization_header_is_taken_apart():
    credential, names, signature = GOOD.removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    shuffled = f"AWS4-HMAC-SHA256 {signature}, {names}, {credential}"
    spaced = GOOD.replace(", ", "  ,  ").replace("256 ", "256   ")
    for header in (GOOD, GOOD.replace(", ", ","), spaced, GOOD.replace("=0", " = 0"), shuffled):
        found = sigv4.parse_authorization(header)
        assert found == ("K", ("20261121", "us-east-1", "batch"), ("host", "x-a"), SIGNATURE)
        assert SIGNATURE not in repr(found)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "Signature Version 4"),
        ("Bearer abc", "Signature Version 4"),
        ("AWS K:sig", "Signature Version 4"),
        (GOOD.replace("HMAC", "ECDSA-P256"), "Signature Version 4"),
        (GOOD.replace("Credential", "credential"), "Credential="),
        (GOOD.replace("/batch", ""), "Credential="),
        (GOOD.replace("20261121", "2026"), "Credential="),
        (GOOD.replace("20261121", "２０２６１１２１"), "Credential="),
        (GOOD.replace("aws4_request", "aws5_request"), "Credential="),
        (GOOD.replace("=K/", "=\udcff/"), "Credential="),
        (GOOD.replace("host;x-a", ""), "SignedHeaders="),
        (GOOD.replace("host;x-a", "Host"), "SignedHeaders="),
        (GOOD.replace("host;x-a", "host;;x-a"), "SignedHeaders="),
        (GOOD[:-1], "Signature="),
        (GOOD[:-1] + "g", "Signature="),
        ("AWS4-HMAC-SHA256 " + "," * 1000, "Credential="),
    ],
)
def test_unreadable_headers_are_not_signed_and_not_repeated(header, says):
    with pytest.raises(NotSigned) as refused:
        sigv4.parse_authorization(header)
    assert says in refused.value.message
    assert SIGNATURE not in refused.value.message


@settings(deadline=None, print_blob=True)
@given(st.text(max_size=80) | st.text("AWS4-HMAC256 Credential=/,;Signed", max_size=80))
def test_any_header_is_read_or_not_signed(header):
    try:
        sigv4.parse_authorization(header)
    except NotSigned:
        pass
