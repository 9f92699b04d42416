"""What every executor does, in the words of the `pretend` language: one suite, run over each of them.

What only a program can do (close its streams, read its environment and working directory, fork and hide, be another
user) has no word in the language, because nothing that pretends could show it: tests/executors has it for processes.
"""

from __future__ import annotations

import re

import pytest

from batchyard.model.needs import Needs
from batchyard.ports import Began, Ended, Survey

EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
IGNORES = ("run_ms=20000", "ignore_term=1", "log=armed")
GRACE_MS = 1000  # of the yards


def armed(yard, attempt):
    """Wait until the job has set its trap."""
    began = yard.began(attempt)
    yard.until(lambda: b"armed" in yard.log_bytes(attempt), "the job has set its trap")
    return began


class ExecutorSuite:
    """Needs a fixture `yard` with a grace time of one second."""

    STOPPED_EARLY: tuple[int | None, ...] = (143,)  # what is stopped before it had time for anything; None: not started
    TIMED_OUT = (137,)  # what obeys the signal of a timeout

    @staticmethod
    def check_living(survey: Survey, attempts: set[str]) -> None:
        """Whether what a restarted executor says is right while these attempts live."""
        assert survey.living == attempts

    # -- ends -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("code", [0, 1, 42, 255])
    def test_exit_codes(self, yard, code):
        attempt = yard.pretend(f"exit={code}")
        began = yard.began(attempt)
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.reason) == (code, EXITED, None)
        assert yard.specs[attempt].opened_ms <= began.at_ms == told.started_ms <= told.stopped_ms

    @pytest.mark.parametrize(("number", "code"), [(15, 143), (9, 137), (11, 139), (13, 141)])
    def test_a_signal_is_128_and_its_number(self, yard, number, code):
        told = yard.ended(yard.pretend(f"signal={number}")).ending
        assert (told.exit_code, told.status_reason, told.reason) == (code, EXITED, None)

    def test_it_runs_as_long_as_it_says(self, yard):
        told = yard.ended(yard.pretend("run_ms=300")).ending
        assert told.stopped_ms - told.started_ms >= 300

    def test_what_no_task_can_be_made_of_ends_before_it_begins(self, yard):
        attempt = yard.pretend("run_ms=20000", refused="it bears too many tags.")
        told = yard.ended(attempt).ending
        assert told.status_reason == f"{NOT_STARTED}: it bears too many tags."
        assert (told.exit_code, told.started_ms, told.reason, told.refused) == (None, None, None, True)

    @pytest.mark.parametrize(
        ("command", "code", "words"),
        [
            (["no-such-program"], 127, 'exec: "no-such-program": executable file not found in $PATH'),
            (
                ["/no/such/program"],
                127,
                r'exec: "/no/such/program": (stat \S+: )?no such file or directory',
            ),
            (["no-such-program", "pretend", "exit=0"], 127, "executable file not found"),
            ([], None, "[nN]o command "),
        ],
        ids=["name", "path", "arguments", "nothing"],
    )
    def test_what_cannot_start(self, yard, command, code, words):
        attempt = yard.start(yard.spec(*command))
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.started_ms) == (code, NOT_STARTED, None)
        assert told.reason.startswith("CannotStartContainerError: ")
        assert re.search(words.replace("$", "\\$"), told.reason)
        assert not [news for news in yard.news if isinstance(news, Began)], "nothing began"
        assert yard.output(attempt) == ""

    @pytest.mark.parametrize("word", ["nonsense=1", "exit=256", "exit=-1", "run_ms=", "log_hex=0", "exit"])
    def test_a_word_that_is_not_of_the_language(self, yard, word):
        attempt = yard.pretend("exit=0", word)
        assert yard.ended(attempt).ending.exit_code == 2
        assert yard.output(attempt).startswith(f"pretend: '{word}'")

    # -- memory ---------------------------------------------------------------------------------------------------

    def test_memory_over_the_limit_ends_it(self, yard):
        attempt = yard.pretend("memory_mib=60", "run_ms=20000", needs=Needs(1000, 32))
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.reason) == (137, EXITED, OUT_OF_MEMORY)
        assert told.stopped_ms - told.started_ms < 15_000, "not by its own end"

    def test_memory_within_the_limit_is_measured(self, yard):
        told = yard.ended(yard.pretend("memory_mib=40", "run_ms=300", "exit=4", needs=Needs(1000, 128))).ending
        assert (told.exit_code, told.reason) == (4, None)
        assert 40 << 20 <= told.peak_memory_bytes < 128 << 20

    # -- timeouts and stops ---------------------------------------------------------------------------------------

    def test_a_timeout_ends_it(self, yard):
        told = yard.ended(yard.pretend("run_ms=20000", timeout_s=1)).ending
        assert (told.status_reason, told.timed_out) == (TIMED_OUT, True)
        assert told.exit_code in self.TIMED_OUT
        assert 1000 <= told.stopped_ms - told.started_ms < 15_000

    def test_a_timeout_kills_what_ignores_it(self, yard):
        told = yard.ended(yard.pretend(*IGNORES, timeout_s=1)).ending
        assert (told.exit_code, told.status_reason, told.timed_out) == (137, TIMED_OUT, True)
        assert 1000 + GRACE_MS <= told.stopped_ms - told.started_ms < 15_000

    def test_a_timeout_that_does_not_come_changes_nothing(self, yard):
        told = yard.ended(yard.pretend("run_ms=100", "exit=5", timeout_s=60)).ending
        assert (told.exit_code, told.status_reason, told.timed_out) == (5, EXITED, False)

    def test_a_stop_ends_it(self, yard):
        attempt = yard.pretend("run_ms=20000", "log=armed")
        armed(yard, attempt)
        yard.stop(attempt)
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.reason, told.timed_out) == (143, EXITED, None, False)

    def test_a_stop_kills_what_ignores_it_after_the_grace_however_often_it_is_told(self, yard):
        attempt = yard.pretend(*IGNORES)
        began = armed(yard, attempt)
        for _ in range(3):
            yard.stop(attempt)
            yard.pause()
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.timed_out) == (137, EXITED, False)
        assert told.stopped_ms - began.at_ms >= GRACE_MS

    def test_a_stop_without_any_grace_kills_at_once(self, yard):
        attempt = yard.pretend(*IGNORES)
        armed(yard, attempt)
        yard.stop(attempt, grace_ms=0)
        told = yard.ended(attempt).ending
        assert (told.exit_code, told.status_reason, told.reason, told.timed_out) == (137, EXITED, None, False)

    def test_of_several_stops_the_one_that_kills_first_holds(self, yard):
        attempt = yard.pretend(*IGNORES)
        began = armed(yard, attempt)
        yard.stop(attempt, grace_ms=3_600_000)
        yard.pause()
        yard.stop(attempt)
        yard.stop(attempt, grace_ms=3_600_000)
        told = yard.ended(attempt).ending
        assert told.exit_code == 137
        assert GRACE_MS <= told.stopped_ms - began.at_ms < 3_600_000

    def test_what_ignores_a_stop_may_still_end_by_itself(self, yard):
        attempt = yard.pretend("run_ms=1000", "ignore_term=1", "log=armed", "exit=6")
        armed(yard, attempt)
        yard.stop(attempt)
        assert yard.ended(attempt).ending.exit_code in (6, 137), "137 only if it took long to get ready"

    def test_a_stop_of_what_is_not_there_or_over_is_nothing(self, yard):
        over = yard.pretend("exit=3")
        told = yard.ended(over)
        yard.stop("00000000-0000-4000-8000-00000000dead.1")
        yard.stop(over)
        assert yard.ended(yard.pretend("exit=4")).ending.exit_code == 4
        yard.start(yard.specs[over])
        assert yard.ended(over) == told

    def test_a_stop_right_after_the_start_is_obeyed(self, yard):
        attempt = yard.pretend("run_ms=20000")
        yard.stop(attempt)
        told = yard.ended(attempt).ending
        assert told.exit_code in self.STOPPED_EARLY
        assert told.stopped_ms - (told.started_ms or told.stopped_ms) < 15_000

    def test_children_left_behind_end_with_it(self, yard):
        attempt = yard.pretend("fork=8", "run_ms=300", "exit=7")
        assert yard.ended(attempt).ending.exit_code == 7
        assert yard.survivors(attempt) == []

    # -- output and environment -----------------------------------------------------------------------------------

    def test_lines_are_read_back_with_their_times(self, yard):
        attempt = yard.pretend("log=one", "log=", "log=two = ü\ttab", "run_ms=200", "log=three")
        told = yard.ended(attempt).ending
        assert yard.output(attempt) == "one\n\ntwo = ü\ttab\nthree\n"
        times = [event.timestamp_ms for event in yard.events(attempt)]
        assert told.started_ms <= times[0] and times == sorted(times) and times[-1] <= told.stopped_ms

    def test_silence_is_an_empty_log(self, yard):
        attempt = yard.pretend()
        yard.ended(attempt)
        assert yard.log_bytes(attempt) == b"" and yard.output(attempt) == ""

    def test_ten_megabytes(self, yard):
        attempt = yard.pretend("log_kib=10240", "exit=9")
        assert yard.ended(attempt).ending.exit_code == 9
        said = yard.log_bytes(attempt)
        assert len(said) == 10 << 20
        lines = said.splitlines()
        assert [int(line[:15]) for line in lines] == list(range(len(lines)))
        assert len(yard.events(attempt)) == len(lines)

    def test_binary_output(self, yard):
        data = bytes(range(256)) * 4
        attempt = yard.pretend(f"log_hex={data.hex()}", "log=after")
        assert yard.ended(attempt).ending.exit_code == 0
        assert yard.log_bytes(attempt) == data + b"after\n"
        assert yard.output(attempt).endswith("\N{REPLACEMENT CHARACTER}after\n")

    def test_environments_that_are_odd_are_no_obstacle(self, yard):
        odd = {
            "EMPTY": "",
            "LINES": "a\nb",
            "WORDS": "ü = ö",
            "LONG": "x" * 100_000,
            "A.B-C": "d",
            "AWS_BATCH_JOB_ID": "x",
        }
        environment = [{"name": name, "value": value} for name, value in odd.items()] + [
            {"name": "EMPTY", "value": "2"}
        ]
        attempt = yard.pretend("exit=8", "log=ran", environment=environment)
        assert yard.ended(attempt).ending.exit_code == 8
        assert yard.output(attempt) == "ran\n"

    # -- idempotence ----------------------------------------------------------------------------------------------

    def test_an_attempt_starts_once_whatever_is_ordered(self, yard):
        spec = yard.spec("pretend", "run_ms=300", "exit=3", "log=ran")
        for _ in range(3):
            yard.start(spec)
        first = yard.began(spec.attempt)
        yard.start(spec)
        told = yard.ended(spec.attempt)
        assert told.ending.started_ms == first.at_ms
        assert {news for news in yard.news if isinstance(news, Began)} <= {first}, "told again, not begun again"
        yard.start(spec)
        assert yard.ended(spec.attempt) == told, "an ended attempt is answered with its ending"
        assert yard.output(spec.attempt) == "ran\n"

    def test_many_at_once(self, yard):
        attempts = [yard.pretend(f"run_ms={number}", f"exit={number % 7}", f"log={number}") for number in range(12)]
        for number, attempt in enumerate(attempts):
            assert yard.ended(attempt).ending.exit_code == number % 7
            assert yard.output(attempt) == f"{number}\n"

    # -- restart in the middle ------------------------------------------------------------------------------------

    def test_a_restart_in_the_middle_changes_nothing(self, yard):
        spec = yard.spec("pretend", "run_ms=1500", "exit=11", "log=begun")
        began = yard.start(spec) and yard.began(spec.attempt)
        self.check_living(yard.restart(), {spec.attempt})
        yard.start(spec)
        told = yard.ended(spec.attempt).ending
        assert (told.exit_code, told.started_ms) == (11, began.at_ms)
        assert told.stopped_ms - told.started_ms >= 1500
        assert yard.output(spec.attempt) == "begun\n"

    def test_a_timeout_and_a_stop_hold_over_a_restart(self, yard):
        timed, stopped = yard.pretend("run_ms=20000", timeout_s=1), yard.pretend(*IGNORES)
        yard.began(timed), armed(yard, stopped)
        yard.stop(stopped)
        self.check_living(yard.restart(), {timed, stopped})
        yard.stop(stopped)  # the first may have been on its way: after a survey, orders are given again
        told = {attempt: yard.ended(attempt).ending for attempt in (timed, stopped)}
        assert told[timed].exit_code in self.TIMED_OUT and told[timed].timed_out
        assert (told[stopped].exit_code, told[stopped].timed_out) == (137, False)
        assert all(ending.stopped_ms - ending.started_ms < 15_000 for ending in told.values())

    def test_endings_are_told_until_they_are_released(self, yard):
        kept, released = yard.pretend("exit=4"), yard.pretend("exit=5")
        first = yard.ended(kept)
        yard.ended(released)
        yard.release(released)
        yard.until(lambda: not yard.has_record(released), "the record is gone")
        assert not yard.restart().living & {kept, released}
        told = [news for news in yard.news if isinstance(news, Ended) and news.attempt in (kept, released)]
        assert told == [first]

    def test_what_has_not_ended_is_not_released(self, yard):
        attempt = yard.pretend("run_ms=1000", "exit=12")
        yard.began(attempt)
        yard.release(attempt)
        assert yard.ended(attempt).ending.exit_code == 12
