"""Limits that a job asks for (`ulimits`), and those that nobody can give."""

from __future__ import annotations

import subprocess
import sys

import pytest

from batchyard.executors.runner import limits
from tests.executors.test_mounts import failure, said, start


def limit(name: str, soft: int, hard: int) -> dict:
    return {"name": name, "soft": soft, "hard": hard}


def test_a_job_has_the_limits_it_asks_for(yard):
    ulimits = [limit("nofile", 100, 200), limit("core", 0, 0), limit("cpu", 50, 60), limit("stack", 1 << 20, -1)]
    script = "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -St; ulimit -Ht; ulimit -Ss"
    assert said(yard, script, ulimits=ulimits).split() == ["100", "200", "0", "50", "60", "1024"]


def test_the_next_job_has_the_limits_of_the_machine(yard):
    before = said(yard, "ulimit -Sn; ulimit -Hn")
    said(yard, "true", ulimits=[limit("nofile", 20, 20)])
    assert said(yard, "ulimit -Sn; ulimit -Hn") == before


def test_a_job_with_limits_starts_like_any_other(yard):
    ulimits = [limit("nofile", 100, 100)]
    assert yard.ended(start(yard, "exit 7", ulimits=ulimits)).ending.exit_code == 7
    assert yard.ended(start(yard, "kill -15 $$", ulimits=ulimits)).ending.exit_code == 143
    assert said(yard, "ps -o sid= -p $$ | grep -qw $$ && echo own session; cat; echo end", ulimits=ulimits).endswith(
        "end\n"
    )


def test_what_cannot_be_executed_is_told_as_ever(yard):
    attempt = start(yard, "", argv=["no-such-program"], ulimits=[limit("nofile", 100, 100)])
    assert yard.ended(attempt).ending.exit_code == 127
    attempt = start(yard, "", argv=["/etc/hostname"], ulimits=[limit("nofile", 100, 100)])
    assert yard.ended(attempt).ending.exit_code == 126


@pytest.mark.skipif(not limits._may_raise(), reason="this user may not raise limits")
def test_root_raises_them(yard):
    assert said(yard, "ulimit -Hn", ulimits=[limit("nofile", 5, 600_000)]) == "600000\n"


def test_more_than_anybody_can_have_is_as_much_as_there_is(yard):
    with open("/proc/sys/fs/nr_open") as file:
        most = int(file.read())
    told = int(said(yard, "ulimit -Hn", ulimits=[limit("nofile", 5, 1 << 40)]))
    assert 5 <= told <= most


PROGRAM = """
import resource
from batchyard.executors.runner import limits

def set_as_an_ordinary_user(number, pair, real=resource.setrlimit):
    if pair[1] > 60 or pair[1] == -1:
        raise ValueError("not allowed to raise maximum limit")
    real(number, pair)

resource.setrlimit(resource.RLIMIT_NOFILE, (50, 60))
resource.setrlimit = set_as_an_ordinary_user
limits.apply([{"name": "nofile", "soft": 70, "hard": 80}])
print(resource.getrlimit(resource.RLIMIT_NOFILE), limits.most(False)["nofile"])
limits.apply([{"name": "nofile", "soft": 30, "hard": -1}])
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_an_ordinary_user_gets_the_highest_there_is():
    """In a process of its own, whose limits are only its own."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout == "(60, 60) 60\n(30, 60)\n"


@pytest.mark.parametrize(
    ("ulimit", "words"),
    [
        (limit("coffee", 1, 1), "invalid ulimit type: coffee"),
        (limit("nofile", 10, 5), "soft limit 10 must be at most the hard limit 5"),
        (limit("nofile", -1, 5), "soft limit -1 must be at most the hard limit 5"),
    ],
)
def test_limits_that_make_no_sense(yard, ulimit, words):
    with pytest.raises(ValueError, match=words):
        limits.check([ulimit])
    assert words in failure(yard, ulimits=[ulimit])
