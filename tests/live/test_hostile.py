"""A real server and clients that obey nobody: never a 500, never a server that others wait for, nothing changed.

Every test runs between two looks at all that the server describes, which must be the same, and ends with a good
request while the hostile connections of the test are still open.
"""

from __future__ import annotations

import json
import random
import re
import socket
import struct

import botocore.exceptions
import pytest

from tests.harness.raw import Raw, receive
from tests.harness.site import Site

MIB = 1 << 20
GOOD_S = 5  # a good request is answered long before
SUBMIT = {"jobName": "j", "jobQueue": "held", "jobDefinition": "held"}
EVIL = "evil.example"
STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")


@pytest.fixture(scope="module")
def furnished(site):
    """A queue, a definition and a job that waits for ever: something to lose."""
    site.queue("held")
    site.definition("held", "true", vcpus=1000)
    job = site.submit("held", "held", "waiting")
    site.wait_for(lambda: site.describe(job)["status"] == "RUNNABLE", "the engine has seen the job")
    return site


def described(raw: Raw) -> list[bytes]:
    """All that the server tells of what it holds."""
    asked = [(f"Describe{noun}", {}) for noun in ("ComputeEnvironments", "JobQueues", "JobDefinitions")]
    asked += [("ListJobs", {"jobQueue": "held", "jobStatus": status}) for status in STATES]
    with raw.connect() as sock:
        sock.sendall(b"".join(raw.operation(name, body) for name, body in asked))
        bodies = [receive(sock).body for _ in asked]
        jobs = [job["jobId"] for body in bodies[3:] for job in json.loads(body)["jobSummaryList"]]
        sock.sendall(raw.operation("DescribeJobs", {"jobs": jobs}))
        return [*bodies, receive(sock).body]


@pytest.fixture
def raw(furnished):
    said = furnished.log.read_text()
    raw = Raw(furnished)
    before = described(raw)
    yield raw
    good(raw)
    assert described(raw) == before, "what the server describes has changed"
    news = furnished.log.read_text()[len(said) :]
    assert "Traceback" not in news and " error " not in news and " critical " not in news, news


def good(raw: Raw) -> None:
    with raw.connect(GOOD_S) as sock:
        sock.sendall(raw.signed("POST", "/v1/describejobqueues", b"{}"))
        answer = receive(sock)
        assert answer is not None and answer.status == 200, answer


# -- not HTTP, or not quite ----------------------------------------------------------------------------------------

GARBAGE = {
    "bytes": b"\x00\x01\x02\x03\r\n\r\n",
    "tls": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 160,
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http09": b"GET /x/health\r\n\r\n",
    "words": b"hello, is this the batch queue?\r\n\r\n",
    "version": b"GET /x/health HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "method": b"G\0T /x/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "nul in path": b"GET /x/\0health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "utf-8 in path": "GET /x/hé HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "space in path": b"GET /x/ health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "connect": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "folded": b"GET /x/health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "nul in header": b"GET /x/health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "header name": b"GET /x/health HTTP/1.1\r\nHost: localhost\r\nX Y: a\r\n\r\n",
    "two lengths": b"POST /x/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
    "endless length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 60 + b"\r\n\r\n",
    "chunk size": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunk too big": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_not_http_is_told_so_in_words_that_clients_can_read(raw, sent):
    answer = raw.exchange(sent, half_close=True)
    if answer is not None:  # a parser may as well take it for an unfinished request
        assert 400 <= answer.status < 500 and answer.code, answer


def test_http_1_0_is_answered_once(raw):
    with raw.connect() as sock:
        sock.sendall(b"GET /x/health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert receive(sock).status == 200
        assert sock.recv(1) == b""
    answer = raw.exchange(b"GET /x/health HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.code) == (403, "AccessDeniedException")


def test_random_bytes(raw):
    for seed in range(200):
        chance = random.Random(seed)
        start = chance.choice(
            [b"", b"GET ", b"POST /v1/submitjob HTTP/1.1\r\n", raw.signed("POST", "/v1/submitjob")[:-2]]
        )
        answer = raw.exchange(start + chance.randbytes(chance.randrange(200)), half_close=True)
        assert answer is None or (400 <= answer.status < 500 and answer.code), f"seed {seed}: {answer}"


# -- bodies --------------------------------------------------------------------------------------------------------


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB, 40 * MIB])
def test_a_body_over_a_mebibyte_is_refused(raw, size):
    announced = raw.request("POST", "/v1/submitjob", headers={"Content-Length": str(size)})
    chunks = raw.request("POST", "/v1/submitjob", headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
    waiting = raw.request("POST", "/v1/submitjob", headers={"Content-Length": str(size), "Expect": "100-continue"})
    answers = [
        raw.exchange(announced, b"x" * size),
        raw.exchange(chunks, chunked(*[b"x" * (64 << 10)] * (size // (64 << 10)), b"x")),
        raw.exchange(waiting),  # told before it sends anything
    ]
    for answer in answers:
        # Beyond what is read and thrown away, a client that is still sending may be cut before it hears why.
        assert answer is not None or size > 16 * MIB
        assert answer is None or (answer.status, answer.code) == (413, "RequestEntityTooLargeException")


def test_a_stock_client_reads_why_its_body_was_refused(raw, furnished):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        furnished.client("batch", retries=0).submit_job(**SUBMIT, parameters={"a": "x" * 3 * MIB})
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_lengths_that_lie(raw):
    body = json.dumps({"jobs": ["x"]}).encode()
    signed = raw.signed("POST", "/v1/describejobs", body)
    longer = signed.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + 5))
    assert raw.exchange(longer, half_close=True) is None
    shorter = signed.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) - 5))
    assert raw.exchange(shorter).code == "InvalidSignatureException"
    with raw.connect() as sock:  # more than was announced is not part of the request, nor of the next one
        sock.sendall(signed + b"garbage\0")
        assert receive(sock).status == 200
        assert receive(sock) is None


JOB = json.dumps(SUBMIT).encode()[:-1]
BODIES = {
    "cut": b'{"jobName": "j"',
    "list": b"[]",
    "word": b"true",
    "quote": b'"',
    "nothing": b" ",
    "nul": b"\0",
    "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"jobName": "j"}'.encode("utf-16"),
    "utf-8": b'{"jobName": "\xff\xfe"}',
    "overlong": b'{"jobName": "\xc0\xaf"}',
    "surrogate": b'{"jobName": "\\ud800"}',
    "nan": JOB + b', "schedulingPriorityOverride": NaN}',
    "infinity": JOB + b', "timeout": {"attemptDurationSeconds": -Infinity}}',
    "1e999": JOB + b', "timeout": {"attemptDurationSeconds": 1e999}}',
    "digits": JOB + b', "arrayProperties": {"size": ' + b"9" * 10_000 + b"}}",
    "fraction": JOB + b', "arrayProperties": {"size": 2.' + b"9" * 900_000 + b"}}",
    "single quotes": b"{'jobName': 'j'}",
    "comment": b'{"jobName": "j" /* */}',
    "comma": b'{"jobName": "j",}',
    "two objects": b"{}{}",
    "control": b'{"jobName": "a\nb"}',
    "duplicate": JOB + b', "jobDefinition": 7}',
    "lists": b"[" * 100_000 + b"]" * 100_000,
    "open lists": b"[" * MIB,
    "objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "unknown deep": b'{"unknown":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    "member deep": b'{"jobName": ' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    "tags deep": b'{"tags": {"a": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}}",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bodies_that_are_no_request(raw, body):
    for operation in ("SubmitJob", "RegisterJobDefinition", "TerminateJob"):
        answer = raw.exchange(raw.operation(operation, body))
        assert (answer.status, answer.code) == (400, "ClientException")
    target = {"X-Amz-Target": "Logs_20140328.GetLogEvents"}
    answer = raw.exchange(raw.signed("POST", "/", body, target, service="logs"))
    assert (answer.status, answer.code) == (400, "InvalidParameterException")
    assert json.loads(answer.body)["__type"] == "InvalidParameterException"


# -- names and paths -----------------------------------------------------------------------------------------------

PATHS = [
    "/", "//", "/v1", "/v1/", "/v1/nothing", "/v1/SubmitJob", "/v1/submitjob/", "/v1//submitjob", "/v2/submitjob",
    "/v1%2Fsubmitjob", "/v1/submit%6Aob", "/v1/../v1/submitjob", "/v1/submitjob/..", "/../../../../etc/passwd",
    "/v1/%2e%2e/submitjob", "/v1/submitjob%00", "/%00", "/v1/submitjob;a=b", "/x", "/x/", "/x/jobs", "/x/jobs/",
    "/x/jobs/../health", "/x/health/", "/metrics/", "/v1/%", "/v1/%zz", "/" + "a" * 60_000, "/v1/" + "../" * 10_000,
    "*",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:24])
def test_paths_that_lead_nowhere(raw, path):
    for method in ("POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = raw.exchange(raw.signed(method, path, b"{}"))
        assert 400 <= answer.status < 500 and answer.code in ("UnknownOperationException", "ClientException"), answer


def test_jobs_with_odd_names(raw):
    for name in ("%2F", "..", "%2e%2e", "%00", "%ff", "a%2Fb", "%", "x" * 5000, "0" * 36 + ":1", "%0d%0aX: y"):
        answer = raw.exchange(raw.signed("GET", "/x/jobs/" + name))
        assert (answer.status, answer.code) == (400, "ClientException")


def test_methods(raw):
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        for path in ("/v1/submitjob", "/v1/describejobs"):
            answer = raw.exchange(raw.signed(method, path, b"{}"))
            assert (answer.status, answer.code) == (404, "UnknownOperationException")
    with raw.connect() as sock:
        sock.sendall(raw.signed("HEAD", "/v1/submitjob") + raw.signed("HEAD", "/x/health"))
        assert [receive(sock, head_only=True).status for _ in range(2)] == [404, 404]


@pytest.mark.parametrize("target", ["Logs_20140328.Nothing", "Logs.GetLogEvents", "", "x" * 5000, "AWSBatch.SubmitJob"])
def test_unknown_targets(raw, target):
    answer = raw.exchange(raw.signed("POST", "/", b"{}", {"X-Amz-Target": target}, service="logs"))
    assert (answer.status, answer.code) == (404, "UnknownOperationException")


def test_a_target_with_its_whole_address_is_judged_by_its_host_header(raw):
    signed = raw.signed("POST", "/v1/describejobqueues", b"{}")
    whole = signed.replace(b"POST /v1", b"POST http://%s/v1" % raw.authority.encode())
    assert raw.exchange(whole).status == 200
    foreign = raw.request("POST", f"http://{EVIL}/v1/describejobqueues", b"{}", {"Host": EVIL})
    assert raw.exchange(foreign).code == "AccessDeniedException"


# -- who asks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "null"},
        {"oRiGiN": ""},
        {"Host": EVIL},
        {"Host": f"localhost.{EVIL}"},
        {"Host": f"localhost@{EVIL}"},
        {"Host": f"localhost, {EVIL}"},
        {"Host": "localhost:"},
        {"Host": "127.0.0.1.:80"},
        {"Host": "127.1"},
        {"Host": "2130706433"},
        {"Host": "0.0.0.0"},
        {"Host": ""},
        {"Host": None},
        {"host": "localhost"},  # beside the Host that is always sent
    ],
    ids=str,
)
def test_web_pages_and_foreign_hosts_are_refused(raw, headers):
    for path in ("/x/health", "/v1/describejobqueues"):
        answer = raw.exchange(raw.request("GET", path, headers=headers))
        assert (answer.status, answer.code) == (403, "AccessDeniedException")


def test_a_page_that_posts_across_origins_is_refused_whatever_it_signs(raw):
    answer = raw.exchange(raw.signed("POST", "/v1/submitjob", json.dumps(SUBMIT).encode(), {"Origin": "http://a"}))
    assert answer.code == "AccessDeniedException"
    preflight = raw.request("OPTIONS", "/v1/submitjob", headers={"Access-Control-Request-Method": "POST"})
    assert raw.exchange(preflight).status == 404


def test_signatures_in_the_query_are_refused(raw):
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20260101%2Fus-east-1%2Fbatch%2Faws4_request"
    query += "&X-Amz-Date=20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0" * 64
    answer = raw.exchange(raw.request("POST", f"/v1/submitjob?{query}", json.dumps(SUBMIT).encode()))
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("late_s", "ok"), [(0, True), (840, True), (-840, True), (960, False), (-960, False)])
def test_times_may_differ_by_a_quarter_of_an_hour(raw, late_s, ok):
    answer = raw.exchange(raw.signed("POST", "/v1/describejobqueues", b"{}", late_s=late_s))
    assert answer.status == 200 if ok else answer.code == "InvalidSignatureException"


def test_a_repeated_header_is_signed_in_its_order(raw):
    signed = raw.signed("POST", "/v1/describejobqueues", b"{}", {"X-B": "1,2"})
    assert raw.exchange(signed.replace(b"X-B: 1,2", b"X-B: 1\r\nX-B:  2 ")).status == 200
    assert raw.exchange(signed.replace(b"X-B: 1,2", b"X-B: 2\r\nX-B: 1")).code == "InvalidSignatureException"
    twice = signed.replace(b"Authorization: ", b"Authorization: x\r\nAuthorization: ")
    assert raw.exchange(twice).code == "MissingAuthenticationTokenException"


# -- slow, many, gone ----------------------------------------------------------------------------------------------


def test_many_slow_and_idle_clients_keep_nobody_waiting(raw):
    request = raw.signed("POST", "/v1/describejobs", b'{"jobs":["x"]}')
    slow, cut = [], []
    for place in range(300):
        sock = raw.connect()
        sock.sendall(request[: place % len(request)])
        (slow if place % 2 else cut).append((sock, place % len(request)))
    idle = [raw.connect() for _ in range(300)]
    good(raw)
    for _ in range(5):  # one byte at a time
        for number, (sock, place) in enumerate(slow):
            sock.sendall(request[place : place + 1])
            slow[number] = (sock, place + 1)
        good(raw)
    for sock, _ in cut:  # gone in the middle: half of them politely, half with a reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    good(raw)
    for sock, place in slow:  # who goes on is served after all
        sock.sendall(request[place:])
    for sock, _ in slow:
        assert receive(sock).status == 200
    for sock in [*(sock for sock, _ in slow), *idle]:
        sock.close()


def test_more_connections_than_there_may_be(raw):
    crowd = [raw.connect() for _ in range(1100)]
    good(raw)
    crowd[-1].sendall(raw.signed("POST", "/v1/describejobqueues", b"{}"))
    assert receive(crowd[-1]).status == 200
    assert crowd[0].recv(1) == b"", "the one that waited longest made room"
    for sock in crowd:
        sock.close()


def test_half_closed_and_cut_connections(raw):
    whole = raw.signed("POST", "/v1/describejobs", b'{"jobs":["x"]}')
    assert raw.exchange(whole, half_close=True).status == 200
    submit = raw.signed("POST", "/v1/submitjob", json.dumps(SUBMIT).encode())
    for end in range(0, len(submit), 7):
        assert raw.exchange(submit[:end], half_close=True) is None
    with raw.connect() as sock:  # asks much, reads nothing, leaves
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(whole * 50)


def test_requests_sent_ahead_are_answered_in_order(raw):
    ask = [raw.signed("POST", "/v1/describejobqueues", b"{}"), raw.signed("POST", "/v1/nothing", b"{}")]
    with raw.connect() as sock:
        sock.sendall(b"".join(ask) * 40)
        assert [receive(sock).status for _ in range(80)] == [200, 404] * 40


# -- secrets -------------------------------------------------------------------------------------------------------


def test_logs_tell_neither_the_secret_key_nor_a_signature(tmp_path, monkeypatch):
    secret = "a-secret-of-the-environment-0123456789"
    monkeypatch.setenv("BATCHYARD_ACCESS_KEY_ID", "BYAKOFTHEENVIRONMENT")
    monkeypatch.setenv("BATCHYARD_SECRET_ACCESS_KEY", secret)
    site = Site(tmp_path / "data", "--log-level", "debug").start()
    try:
        raw = Raw(site)
        site.queue("q")
        requests = [
            raw.signed("POST", "/v1/describejobqueues", b"{}"),
            raw.signed("POST", "/v1/submitjob", b'{"jobName": 1}'),
            raw.signed("POST", "/v1/nothing", b"{}"),
            raw.signed("POST", "/v1/describejobqueues", b"{}", late_s=10_000),
            raw.signed("POST", "/v1/describejobqueues", b"{}").replace(b"\r\n\r\n{}", b"\r\n\r\n{]"),
            raw.signed("POST", "/v1/describejobqueues", b"{}").replace(b"Signature=", b"Signature=f"),
            raw.signed("POST", "/v1/describejobqueues?X-Amz-Signature=" + "5" * 64, b"{}"),
            raw.signed("POST", "/v1/describejobqueues", b"{}") + b"\0\0",
            raw.signed("POST", "/v1/describejobqueues", b"{}")[:-30] + b"\0\0",
        ]
        for request in requests:
            answer = raw.exchange(request, half_close=True)
            told = b"" if answer is None else answer.body
            for signature in re.findall(rb"[0-9a-f]{64}", request):
                assert signature not in told, answer
            assert raw.secret.encode() not in told
        for role in ("engine", "runner"):
            for pid in site.pids(role):
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    assert secret.encode() not in environ.read(), f"{role} was given the secret key"
        site.stop()
        said = site.log.read_text()
        assert " debug " in said, "the server was to say all it knows"
        for hidden in (raw.secret, secret, *re.findall(r"[0-9a-f]{64}", b"".join(requests).decode("latin-1"))):
            assert hidden not in said, "a secret or a signature is in the log"
        assert "Signature=" not in said and "Authorization" not in said
    finally:
        site.destroy()
