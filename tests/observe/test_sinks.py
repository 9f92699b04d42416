"""Each place where events go: what arrives, what is tried again, and what is said of a failure."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest

from batchyard.observe.follow import Failed, Stopped
from batchyard.observe.sinks import program as program_sink
from batchyard.observe.sinks import webhook as webhook_sink
from batchyard.observe.sinks.json_lines import JsonLines
from batchyard.observe.sinks.program import Program
from batchyard.observe.sinks.webhook import Webhook

from .told import Receiver, change, numbers

GOING = threading.Event()  # never set: nobody stops


@pytest.fixture
def receiver():
    opened = Receiver()
    yield opened
    opened.close()


# -- the file ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path):
    return tmp_path / "events.jsonl"


def told(lines):
    return numbers(lines.read_bytes().splitlines())


def test_each_event_is_a_line_at_the_end(lines):
    place = JsonLines(str(lines))
    place.deliver([change(1), change(2)], GOING)
    place.deliver([change(3)], GOING)
    assert told(lines) == [1, 2, 3]
    assert lines.stat().st_mode & 0o777 == 0o600
    JsonLines(str(lines)).deliver([change(4)], GOING)
    assert told(lines) == [1, 2, 3, 4]


@pytest.mark.parametrize("cut", [1, 5, len(change(2).whole) - 1, len(change(2).whole)])
def test_a_line_that_a_crash_left_unfinished_goes_and_its_event_comes_again(lines, cut):
    lines.write_bytes(change(1).whole + b"\n" + change(2).whole[:cut])
    JsonLines(str(lines)).deliver([change(2), change(3)], GOING)
    assert told(lines) == ([1, 2, 2, 3] if cut == len(change(2).whole) else [1, 2, 3])


def test_a_long_unfinished_line_is_removed_whole(lines):
    lines.write_bytes(change(1).whole + b'\n{"detail": "' + b"x" * 300_000)
    JsonLines(str(lines)).deliver([change(2)], GOING)
    assert told(lines) == [1, 2]


def test_a_file_of_one_unfinished_line_begins_anew(lines):
    lines.write_bytes(b'{"detail": "' + b"x" * 100_000)
    JsonLines(str(lines)).deliver([change(2)], GOING)
    assert told(lines) == [2]


@pytest.mark.parametrize("rotate", ["move", "remove", "truncate"])
def test_a_file_that_was_rotated_is_begun_anew(lines, rotate):
    place = JsonLines(str(lines))
    place.deliver([change(1)], GOING)
    if rotate == "move":
        lines.rename(lines.with_suffix(".1"))
    elif rotate == "remove":
        lines.unlink()
    else:
        os.truncate(lines, 0)
    place.deliver([change(2)], GOING)
    assert told(lines) == [2]
    if rotate == "move":
        assert told(lines.with_suffix(".1")) == [1]


def test_a_full_disk_leaves_no_half_line(lines, monkeypatch):
    place = JsonLines(str(lines))
    place.deliver([change(1)], GOING)
    write = os.write
    left = [10]

    def short(file, data):
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = write(file, data[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(Failed, match="^cannot be written: No space left on device$"):
        place.deliver([change(2)], GOING)
    monkeypatch.undo()
    assert told(lines) == [1]
    place.deliver([change(2)], GOING)
    assert told(lines) == [1, 2]


def test_a_directory_that_is_missing_is_said_and_may_come_later(tmp_path):
    lines = tmp_path / "later" / "events.jsonl"
    place = JsonLines(str(lines))
    with pytest.raises(Failed, match="^cannot be written: No such file or directory$"):
        place.deliver([change(1)], GOING)
    lines.parent.mkdir()
    place.deliver([change(1)], GOING)
    assert told(lines) == [1]


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failed, match="not a regular file"):
        JsonLines(str(tmp_path / "pipe")).deliver([change(1)], GOING)


# -- webhooks ------------------------------------------------------------------------------------------------------


def test_an_event_is_posted_as_it_is(receiver):
    place = Webhook(receiver.url)
    place.deliver([change(1)], GOING)
    place.deliver([change(2)], GOING)
    assert receiver.bodies == [change(1).whole, change(2).whole]
    target, headers = receiver.requests[0]
    assert target == "/hook?token=hunter2"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


def test_user_and_password_of_the_url_become_a_header(receiver):
    Webhook(f"http://me:p%40ss@127.0.0.1:{receiver.port}/").deliver([change(1)], GOING)
    assert receiver.requests[0][1]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered(receiver, status):
    receiver.answers = lambda body: status
    Webhook(receiver.url).deliver([change(1)], GOING)


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_anything_else_is_not(receiver, status):
    receiver.answers = lambda body: (status, b"no", {"Location": receiver.url})
    with pytest.raises(Failed, match=rf"^127\.0\.0\.1 answers {status}"):
        Webhook(receiver.url).deliver([change(1)], GOING)
    assert len(receiver.requests) == 1, "no redirect is followed"


def test_a_server_that_hangs_is_given_up(receiver, monkeypatch):
    from batchyard.observe.sinks import post

    monkeypatch.setattr(post, "TIMEOUT_S", 0.2)
    receiver.answers = lambda body: "hang"
    with pytest.raises(Failed, match="no answer from 127.0.0.1 .nothing came within"):
        Webhook(receiver.url).deliver([change(1)], GOING)


def test_nobody_there(receiver):
    receiver.close()
    with pytest.raises(Failed, match="^no answer from 127.0.0.1 .Connection refused.$"):
        Webhook(receiver.url).deliver([change(1)], GOING)


def test_a_connection_that_the_server_closed_meanwhile_is_made_again(receiver):
    place = Webhook(receiver.url)
    cut_next = []

    def answer(body):
        return "cut" if cut_next and cut_next.pop() else 200

    receiver.answers = answer
    place.deliver([change(1)], GOING)
    cut_next.append(True)
    place.deliver([change(2)], GOING)
    assert numbers(receiver.bodies) == [1, 2]


def test_an_answer_without_end_is_not_read_to_its_end(receiver):
    receiver.answers = lambda body: (200, b"x" * 1_000_000, {})
    place = Webhook(receiver.url)
    for number in range(3):
        place.deliver([change(number)], GOING)
    assert numbers(receiver.bodies) == [0, 1, 2]


def test_what_is_said_names_the_host_and_not_the_secret(receiver):
    receiver.answers = lambda body: 500
    place = Webhook(receiver.url.replace("127", "user:hunter2@127"))
    with pytest.raises(Failed) as caught:
        place.deliver([change(1)], GOING)
    assert "hunter2" not in str(caught.value) + place.name
    assert "127.0.0.1" in place.name
    assert place.name != Webhook(receiver.url).name, "another URL is another sink"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        capture_output=True,
    ) if _has("openssl") else None  # fmt: skip
    if made is None:
        pytest.skip("openssl is not installed (Debian: openssl)")
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    receiver._server.socket = context.wrap_socket(receiver._server.socket, server_side=True)
    with pytest.raises(Failed, match="no answer from localhost .its certificate is not trusted"):
        Webhook(f"https://localhost:{receiver.port}/").deliver([change(1)], GOING)
    assert receiver.bodies == []
    receiver.close()


def _has(program):
    from shutil import which

    return which(program) is not None


def test_several_connections_are_used_and_the_events_of_a_job_keep_their_order(receiver):
    both = threading.Barrier(2)

    def answer(body):
        try:
            both.wait(5)  # passes only if a second request comes meanwhile
        except threading.BrokenBarrierError:
            return 500
        return 204

    receiver.answers = answer
    events = [change(number, job=number % 2) for number in range(40)]
    Webhook(receiver.url).deliver(events, GOING)
    told = numbers(receiver.bodies)
    assert sorted(told) == list(range(40))
    for job in (0, 1):
        mine = [number for number in told if number % 2 == job]
        assert mine == sorted(mine)


def test_what_arrived_before_a_failure_is_not_sent_again(receiver):
    refuse = {13}

    def answer(body):
        return 503 if refuse & set(numbers([body])) else 204

    receiver.answers = answer
    place = Webhook(receiver.url)
    events = [change(number, job=number % 3) for number in range(30)]
    for got_on in (True, False, False):
        with pytest.raises(Failed) as caught:
            place.deliver(events, GOING)
        assert caught.value.got_on is got_on
    assert sorted(numbers(receiver.bodies)) == [n for n in range(30) if n % 3 != 1 or n < 13]
    refuse.clear()
    place.deliver(events, GOING)
    assert sorted(numbers(receiver.bodies)) == list(range(30))
    place.deliver([change(0)], GOING)
    assert numbers(receiver.bodies)[-1] == 0, "later it may come again"


def test_fingerprints_tell_apart_and_betray_nothing():
    assert webhook_sink.fingerprint("a", "bc") != webhook_sink.fingerprint("ab", "c")
    assert len(webhook_sink.fingerprint("secret")) == 8


# -- the program ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(program_sink, "AGAIN_S", (0.01, 0.01))
    monkeypatch.setattr(program_sink, "GRACE_S", 0.2)
    monkeypatch.setattr(program_sink, "LOOK_S", 0.02)


def script(tmp_path, text):
    """A program of Python; its words."""
    path = tmp_path / "on_event.py"
    path.write_text("import json, os, sys, time, subprocess\nhere = os.path.dirname(__file__)\n" + text)
    return f"{sys.executable} '{path}'"


def make(command, timeout_s=20, of="tests"):
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AWS_SECRET_ACCESS_KEY": "hunter2", "HOME": "/h"}
    return Program(command, timeout_s, environ, f"{of} {os.getpid()}")


NOTE = "event = json.load(sys.stdin)\nopen(here + '/out', 'a').write(f\"{event['detail']['number']}\\n\")\n"


def test_a_program_gets_events_one_by_one_in_order(tmp_path, quick):
    place = make(script(tmp_path, NOTE))
    for number in range(5):
        place.deliver([change(number)], GOING)
    assert (tmp_path / "out").read_text().split() == list("01234")


def test_a_program_gets_an_environment_of_its_own_and_no_shell(tmp_path, quick):
    command = script(tmp_path, "json.dump([dict(os.environ), sys.argv[1:], os.getcwd()], open(here + '/out', 'w'))")
    make(command + " '$HOME; touch x' two").deliver([change(1)], GOING)
    environ, words, where = json.loads((tmp_path / "out").read_text())
    assert set(environ) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME", "BATCHYARD_ON_EVENT"}
    assert (words, where) == (["$HOME; touch x", "two"], "/")


def test_a_large_event_and_a_program_that_does_not_read_it(tmp_path, quick):
    big = change(1, blob="x" * 1_000_000)
    make(script(tmp_path, "open(here + '/out', 'w').write(str(len(sys.stdin.read())))")).deliver([big], GOING)
    assert (tmp_path / "out").read_text() == str(len(big.whole) + 1)
    make("true").deliver([big], GOING)


def test_a_program_that_talks_too_much_is_not_held_up(tmp_path, quick):
    make(script(tmp_path, "for _ in range(1000): print('x' * 10_000)")).deliver([change(1)], GOING)


def test_a_program_that_fails_is_run_again_then_the_event_is_skipped_and_said(tmp_path, quick, caplog):
    text = NOTE + "print('not today', file=sys.stderr); sys.exit(0 if event['detail']['number'] == 2 else 7)"
    place = make(script(tmp_path, text))
    place.deliver([change(1)], GOING)
    place.deliver([change(2)], GOING)
    assert (tmp_path / "out").read_text().split() == ["1", "1", "1", "2"]
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert "event id-1 of arn:aws:batch:us-east-1:123456789012:job/1 is skipped: it ended with 7; it said: not" in said


def test_a_program_that_fails_once_loses_nothing(tmp_path, quick, caplog):
    text = NOTE + "sys.exit(0 if open(here + '/out').read().count('1') > 1 else 1)"
    make(script(tmp_path, text)).deliver([change(1)], GOING)
    assert (tmp_path / "out").read_text().split() == ["1", "1"]
    assert caplog.records == []


def test_a_program_that_is_not_there_holds_events_until_it_is(tmp_path, quick):
    place = make(str(tmp_path / "later"))
    with pytest.raises(Failed, match="later cannot be started: No such file or directory"):
        place.deliver([change(1)], GOING)
    (tmp_path / "later").write_text(f"#!/bin/sh\ncat > {tmp_path}/out\n")
    (tmp_path / "later").chmod(0o755)
    place.deliver([change(1)], GOING)
    assert json.loads((tmp_path / "out").read_text())["id"] == "id-1"


# It starts one process in its group and one that leaves it, both of which outlive it if nobody kills them.
FAMILY = (
    "for new in (False, True):\n"
    "    child = subprocess.Popen(['sleep', '60'], start_new_session=new)\n"
    "    open(here + '/pids', 'a').write(f'{child.pid}\\n')\n"
    "open(here + '/pids', 'a').write(f'{os.getpid()}\\n')\n"
)


def alive(tmp_path):
    return [pid for pid in map(int, (tmp_path / "pids").read_text().split()) if _runs(pid)]


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_program_that_takes_too_long_is_killed_with_all_it_started(tmp_path, quick, caplog, monkeypatch):
    monkeypatch.setattr(program_sink, "AGAIN_S", ())
    text = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY + "time.sleep(60)"
    make(script(tmp_path, text), timeout_s=1).deliver([change(1)], GOING)
    assert "is skipped: it took longer than 1 s" in caplog.text
    until(lambda: not alive(tmp_path))
    assert len((tmp_path / "pids").read_text().split()) == 3


def test_a_program_may_end_by_itself_when_its_time_is_over(tmp_path, quick, caplog, monkeypatch):
    monkeypatch.setattr(program_sink, "AGAIN_S", ())
    monkeypatch.setattr(program_sink, "GRACE_S", 20)
    text = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open(here + '/out', 'w').write('tidied'), sys.exit(0)))\n"
        "time.sleep(60)"
    )
    make(script(tmp_path, text), timeout_s=1).deliver([change(1)], GOING)
    assert (tmp_path / "out").read_text() == "tidied"
    assert "took longer" in caplog.text


def test_when_we_are_to_stop_the_program_and_what_it_started_end(tmp_path, quick):
    stop = threading.Event()
    place = make(script(tmp_path, FAMILY + "time.sleep(60)"))

    def stop_soon():
        until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 3)
        stop.set()

    threading.Thread(target=stop_soon).start()
    with pytest.raises(Stopped):
        place.deliver([change(1)], stop)
    until(lambda: not alive(tmp_path))


def test_what_an_observe_that_was_killed_left_running_is_ended_first(tmp_path, quick):
    code = (
        "import sys, threading\n"
        "from tests.observe.told import change\n"
        "from batchyard.observe.sinks.program import Program\n"
        "Program(sys.argv[1], 60, {'PATH': '/usr/bin:/bin'}, 'left over').deliver([change(1)], threading.Event())"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, script(tmp_path, FAMILY + "time.sleep(60)")])
    until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 3)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(alive(tmp_path)) == 3
    Program("true", 60, {"PATH": "/usr/bin:/bin"}, "left over").deliver([change(1)], GOING)
    until(lambda: not alive(tmp_path))
