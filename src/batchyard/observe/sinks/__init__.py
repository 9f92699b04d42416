"""Where state-change events go: a file, webhooks, an event bus, a program. Each is the operator's setting.

Start reading with ``sink.py``: a sink follows the journal (``observe/follow.py``) and hands events to a place, of which
there is one file each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from batchyard.config import Settings
from batchyard.observe.sinks.event_bus import EventBus
from batchyard.observe.sinks.json_lines import JsonLines
from batchyard.observe.sinks.post import Headers
from batchyard.observe.sinks.program import Program
from batchyard.observe.sinks.sink import Place, Sink
from batchyard.observe.sinks.webhook import Webhook
from batchyard.observe.state_changes import Teller


def sinks(
    settings: Settings,
    environ: Mapping[str, str],
    sign: Callable[[str, str, Headers, bytes], Headers],
    open_teller: Callable[[], Teller],
) -> list[Sink]:
    """The sinks that are set; `environ` is what programs may be given some of, `sign` signs requests to AWS."""
    places: list[Place] = [Webhook(url) for url in dict.fromkeys(settings.event_webhooks)]
    if settings.event_file:
        places.append(JsonLines(settings.event_file))
    if settings.eventbridge_url:
        places.append(EventBus(settings.eventbridge_url, settings.eventbridge_bus, settings.eventbridge_source, sign))
    if settings.on_event:
        places.append(Program(settings.on_event, settings.on_event_timeout_s, environ, settings.data))
    return [Sink(place, open_teller) for place in places]
