"""The text format: the official parser reads back what went in, whatever names hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from batchyard.observe.exposition import Sample, family
from batchyard.observe.metrics import COUNTER, GAUGE, HISTOGRAM, METRICS, Metric, decimal

UNITS = {"seconds": "_seconds", "bytes": "_bytes", "vCPUs": "_vcpus", "GPUs": "_gpus"}


def parse(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric):
    assert re.fullmatch(r"batchyard_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == COUNTER)
    assert metric.name.removesuffix("_total").endswith(UNITS.get(metric.unit, "")), "the unit is part of the name"
    assert not metric.name.endswith(("_count", "_sum", "_bucket")), "these are of histograms"
    assert all(re.fullmatch(r"[a-z]+", label) and label not in ("le", "job", "instance") for label in metric.labels)
    assert bool(metric.bounds) == (metric.kind == HISTOGRAM) and list(metric.bounds) == sorted(set(metric.bounds))
    assert metric.help.endswith(".") and "\n" not in metric.help


def test_every_name_is_given_once():
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@given(st.text(), st.text())
def test_labels_come_back_as_they_were(one, two):
    metric = Metric("batchyard_thing", GAUGE, "things", ("one", "two"), 'A "help" with \\ and \n in it.')
    told = parse(family(metric, [Sample((one, two), 3)]))["batchyard_thing"]
    assert [(sample.labels, sample.value) for sample in told.samples] == [({"one": one, "two": two}, 3)]
    assert told.documentation == metric.help and told.type == "gauge"


def test_a_histogram_adds_up():
    metric = Metric("batchyard_wait_seconds", HISTOGRAM, "seconds", ("queue",), "x", bounds=(10, 1500), by=1000)
    text = family(metric, [Sample(("q",), [2, 0, 5, 123456])])
    assert text.splitlines()[2:] == [
        'batchyard_wait_seconds_bucket{queue="q",le="0.01"} 2',
        'batchyard_wait_seconds_bucket{queue="q",le="1.5"} 2',
        'batchyard_wait_seconds_bucket{queue="q",le="+Inf"} 7',
        'batchyard_wait_seconds_sum{queue="q"} 123.456',
        'batchyard_wait_seconds_count{queue="q"} 7',
    ]


@pytest.mark.parametrize(
    ("value", "times", "by", "text"),
    [
        (0, 1, 1000, "0"),
        (5, 1, 1000, "0.005"),
        (1500, 1, 1000, "1.5"),
        (-1500, 1, 1000, "-1.5"),
        (3, 1 << 20, 1, "3145728"),
        (1_000_001, 1, 1_000_000, "1.000001"),
        (10**18 + 1, 1, 1000, "1000000000000000.001"),
    ],
)
def test_numbers_are_exact(value, times, by, text):
    assert decimal(value, times, by) == text
