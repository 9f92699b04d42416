"""The rows of ``observe/metrics.py``."""

from __future__ import annotations

from batchyard.observe.metrics import HISTOGRAM, METRICS, Metric
from reference import text


def page() -> str:
    rows = [
        (
            text.code(metric.name),
            metric.kind,
            metric.unit,
            ", ".join(text.code(label) for label in metric.labels),
            metric.help + _values(metric),
        )
        for metric in METRICS
    ]
    buckets = [(text.code(metric.name), ", ".join(metric.buckets)) for metric in METRICS if metric.kind == HISTOGRAM]
    return text.page(
        "Metrics",
        """What `GET /metrics` tells, in Prometheus' text format. How to scrape it:
[the how-to page](../how-to/metrics.md).""",
        """Counters and states are exact: they are counted from the journal that is written in the same commit as what
it tells of, and what was counted is stored with how far the counting came. Names, units and labels stay as they are;
new ones may come.""",
        text.table(("name", "type", "unit", "labels", "meaning"), rows),
        """## Labels

`region` and `queue` together name a job queue, `region` and `environment` a compute environment; there is a series for
each that exists, from its creation on, and its numbers begin at zero. When it is deleted its series go, and one that is
made later under the same name begins at zero again. `provider` is where an environment draws its room: `local` is this
machine, `pretend/...` an environment that only pretends.""",
        """## Histograms

Upper bounds of the buckets, in seconds; there is one more for everything above them (`+Inf`).""",
        text.table(("name", "bounds"), buckets),
    )


def _values(metric: Metric) -> str:
    return f" {metric.labels[-1]}: {', '.join(text.code(value) for value in metric.values)}." if metric.values else ""
