"""What happened since the last turn: requests that are not applied yet, and news from executors, as events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from batchyard.model.events import AttemptEnded, AttemptLost, AttemptStarted, Event, ExecutorSurveyed
from batchyard.model.ids import parse_attempt_id
from batchyard.ports import Began, Commits, Ended, Executor, Lost, News, Survey

REQUESTS_PER_TURN = 500

Key = tuple[int, int, int]  # (job, index, attempt number)


class Inbox:
    """Gathers events; news of attempts that are not open is answered at once and never reaches a decision."""

    def __init__(self, commits: Commits, executors: Mapping[str, Executor], holds: Callable[[int], bool]):
        self._commits = commits
        self._executors = executors
        self._holds = holds
        self.open: dict[str, Key] = {}  # attempt id -> key, for every attempt that is open
        self.rung = True  # whether requests may be waiting

    def gather(self, applied: int) -> list[Event]:
        """News first: it is older than the decision to read requests, and it makes room."""
        events: list[Event] = []
        for provider, executor in self._executors.items():
            for news in executor.observe():
                event = self._translate(provider, executor, news)
                if event is not None:
                    events.append(event)
        if self.rung:
            requests = self._commits.requests(applied, REQUESTS_PER_TURN, self._holds)
            self.rung = len(requests) >= REQUESTS_PER_TURN
            events += requests
        return events

    def _translate(self, provider: str, executor: Executor, news: News) -> Event | None:
        if isinstance(news, Survey):
            return self._survey(provider, executor, news)
        key = self.open.get(news.attempt)
        if key is None:
            if not isinstance(news, Began):
                executor.release(news.attempt)  # its ending was recorded before the executor heard of it
            return None
        if isinstance(news, Began):
            return AttemptStarted(*key, news.at_ms)
        if isinstance(news, Ended):
            return AttemptEnded(*key, news.ending)
        assert isinstance(news, Lost)
        return AttemptLost(*key)

    def _survey(self, provider: str, executor: Executor, survey: Survey) -> ExecutorSurveyed:
        """Attempts that live but are not open (given up as lost, say) must not go on: they are stopped."""
        for attempt in sorted(survey.living):
            if attempt not in self.open and parse_attempt_id(attempt) is not None:
                executor.stop(attempt)
        return ExecutorSurveyed(provider, frozenset(self.open[a] for a in survey.living if a in self.open))
