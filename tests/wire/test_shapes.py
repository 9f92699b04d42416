"""The generated types are what the generator writes, and the generator does what it says."""

import importlib.util
import sys
from pathlib import Path

import botocore
import msgspec
import pytest

from batchyard.wire import shapes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_shapes", ROOT / "tools/generate_shapes.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_shapes"] = module
    spec.loader.exec_module(module)
    return module


def test_the_file_is_what_the_generator_writes(generator):
    if botocore.__version__ != shapes.BOTOCORE_VERSION:
        pytest.skip(f"shapes.py is of botocore {shapes.BOTOCORE_VERSION}, installed is {botocore.__version__}")
    assert (ROOT / "src/batchyard/wire/shapes.py").read_text() == generator.source(), "run `make generate`"


def test_every_member_is_optional_and_vanishes():
    for name in dir(shapes):
        of = getattr(shapes, name)
        if isinstance(of, type) and issubclass(of, shapes.Shape):
            empty = of()
            assert all(getattr(empty, field) is shapes.UNSET for field in of.__struct_fields__)
            assert msgspec.json.encode(empty) == b"{}"


def test_every_patch_applies_and_has_a_reason(generator):
    for service, shape, what, value, reason in generator.PATCHES:
        assert generator.load(service)["shapes"][shape][what] == value
        assert len(reason) > 20


def test_a_member_named_like_a_keyword_gets_an_underscore(generator):
    catalogue = generator.Catalogue("batch")
    catalogue.shapes["Odd"] = {"type": "structure", "members": {"from": {"shape": "String"}, "to": {"shape": "Long"}}}
    text = catalogue.class_source("Odd")
    scope = {**vars(shapes), "field": msgspec.field, "__name__": "odd"}
    exec(text, scope)
    odd = scope["Odd"](from_="a", to=1)
    assert msgspec.json.encode(odd) == b'{"from":"a","to":1}'


def test_a_shape_name_of_both_services_gets_a_prefix(generator):
    logs = generator.Catalogue("logs", ("GetLogEvents",), taken=frozenset({"OutputLogEvent"}))
    text = "\n".join(logs.classes())
    assert "class LogsOutputLogEvent(" in text
    assert "events: list[LogsOutputLogEvent]" in text
