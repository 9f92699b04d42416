"""The instance catalogue: what its rows say, and what callers' names stand for."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from batchyard.catalogue.reader import COLUMNS, CatalogueError, UnknownType, built_in, parse
from batchyard.model.needs import Needs

HEAD = ",".join(COLUMNS)


@pytest.fixture(scope="module")
def catalogue():
    return built_in()


def names(found):
    return [each.name for each in found]


def test_every_row_of_the_file_is_a_type(catalogue):
    text = resources.files("batchyard.catalogue").joinpath("instance-types.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(catalogue) == len(rows) == 1236
    for row in rows:
        (found,) = catalogue.resolve([row["instance_type"]])
        assert found.room == Needs(int(row["vcpus"]) * 1000, int(row["memory_mib"]), int(row["gpus"]))
        assert abs(found.price - float(row["on_demand_usd_h_us_east_1"]) * 1e6) <= 1
        assert found.usable_mib < found.room.memory_mib


def test_a_known_type(catalogue):
    (found,) = catalogue.resolve(["c5.4xlarge"])
    assert found == ("c5.4xlarge", Needs(16_000, 32_768, 0), 31_426, 680_000, 231_200, 4)


def test_a_family_stands_for_its_types_smallest_first_without_bare_metal_and_tiny_ones(catalogue):
    assert names(catalogue.resolve(["c5"]))[:3] == ["c5.large", "c5.xlarge", "c5.2xlarge"]
    assert not [name for name in names(catalogue.resolve(["c5"])) if "metal" in name]
    assert "t3.nano" not in names(catalogue.resolve(["t3"]))
    assert names(catalogue.resolve(["t3.nano"])) == ["t3.nano"], "but who names it gets it"


def test_keywords_and_order(catalogue):
    assert catalogue.resolve(["optimal"]) == catalogue.resolve(["m6i", "c6i", "r6i", "c7i"])
    assert not any(each.room.gpus for each in catalogue.resolve(["optimal", "default_x86_64"]))
    assert all(catalogue.is_arm(each) for each in catalogue.resolve(["default_arm64"]))
    assert names(catalogue.resolve(["r5.large", "c5.large", "r5.large"])) == ["r5.large", "c5.large"]


def test_a_name_that_is_nothing(catalogue):
    with pytest.raises(UnknownType, match="c99.huge"):
        catalogue.resolve(["c5.large", "c99.huge"])


def test_a_type_without_spot_data_costs_there_what_it_costs_and_counts_as_often_interrupted():
    (found,) = parse(f"{HEAD}\nx.large,2,4096,0,x86_64,0.5,,\n").resolve(["x"])
    assert (found.price, found.spot_price, found.interruption) == (500_000, 500_000, 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "the column instance_type is missing"),
        (f"{HEAD}\nx.large,two,4096,0,x86_64,0.5,,\n", "line 2: .*two"),
        (f"{HEAD}\nx.large,0,4096,0,x86_64,0.5,,\n", "line 2: column vcpus: '0'"),
        (f"{HEAD}\n,2,4096,0,x86_64,0.5,,\n", "line 2: column instance_type"),
        (f"{HEAD}\nx.large,2\n", "line 2"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_with_the_line(text, says):
    with pytest.raises(CatalogueError, match=says):
        parse(text)
