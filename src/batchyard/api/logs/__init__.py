"""CloudWatch Logs over the logs of attempts (reference "Logs and metrics" and traps T14, T15).

A stream is an attempt's log, an event is a line, and a position is a byte offset in it. ``streams.py`` finds and lists
groups and streams, ``reading.py`` reads one, ``filtering.py`` reads many at once.
"""

from __future__ import annotations

from batchyard.api.logs import filtering, reading, streams

OPERATIONS = {
    "DescribeLogGroups": streams.describe_log_groups,
    "DescribeLogStreams": streams.describe_log_streams,
    "FilterLogEvents": filtering.filter_log_events,
    "GetLogEvents": reading.get_log_events,
}
