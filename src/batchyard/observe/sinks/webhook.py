"""The sink `event_webhooks`: each event is the body of a POST; an answer of 2xx says that it arrived.

A few connections are used at a time, since an answer from far away takes long; the events of one job share one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

from batchyard.observe.follow import Failed, Stopped
from batchyard.observe.sinks.post import Post
from batchyard.observe.state_changes import StateChange

LANES = 4

_HEADERS = {"Content-Type": "application/json"}


class Webhook:
    """sink.Place: whatever answers at `url`."""

    most = 16 * LANES

    def __init__(self, url: str):
        self._lanes = [Post(url) for _ in range(LANES)]
        self._arrived: set[str] = set()  # of a delivery that failed, what need not be sent again
        self.name = f"event_webhooks {self._lanes[0].host} {fingerprint(url)}"

    def deliver(self, events: Sequence[StateChange], stop: threading.Event) -> None:
        failures: list[Exception] = []
        arrived = len(self._arrived)
        lanes: list[list[StateChange]] = [[] for _ in range(LANES)]
        for event in events:
            if event.id not in self._arrived:
                lanes[sum(event.job) % LANES].append(event)
        busy = [pair for pair in zip(self._lanes, lanes, strict=True) if pair[1]]
        threads = [
            threading.Thread(target=self._deliver, args=(*pair, stop, failures), daemon=True) for pair in busy[1:]
        ]
        for thread in threads:
            thread.start()
        if busy:
            self._deliver(*busy[0], stop, failures)
        for thread in threads:
            thread.join()
        if failures:
            if isinstance(failures[0], Failed) and len(self._arrived) > arrived:
                raise Failed(str(failures[0]), got_on=True)
            raise failures[0]
        self._arrived.clear()

    def _deliver(
        self, post: Post, events: Sequence[StateChange], stop: threading.Event, failures: list[Exception]
    ) -> None:
        """One after the other, until one fails."""
        try:
            for event in events:
                if stop.is_set():
                    raise Stopped
                _send(post, event)
                self._arrived.add(event.id)
        except Exception as error:
            failures.append(error)


def _send(post: Post, event: StateChange) -> None:
    status = post(event.whole, _HEADERS).status
    if 300 <= status < 400:
        raise Failed(f"{post.host} answers {status}, and redirects are not followed")
    if not 200 <= status < 300:
        raise Failed(f"{post.host} answers {status}")


def fingerprint(*secret: str) -> str:
    """A few digits that tell one from others and do not betray it."""
    return hashlib.blake2b("\0".join(secret).encode(), digest_size=4, person=b"batchyard-sink").hexdigest()
