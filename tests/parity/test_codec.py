"""botocore as oracle, both ways: what it sends we read, what we send it reads, for every operation and every error.

A failure names operation and seed; `CODEC_SEED=n CODEC_ROUNDS=m pytest tests/parity` goes on from there.
"""

from __future__ import annotations

import copy
import os

import botocore.exceptions
import msgspec
import pytest
from botocore.model import ListShape, MapShape, StructureShape
from botocore.validate import ParamValidator

from batchyard import errors
from batchyard.wire import query_xml, rest_json, validate
from batchyard.wire.shapes import ENUMS, OPERATIONS, UNSET
from tests.parity.model_values import Values
from tests.parity.stock_client import REQUEST_ID, Served

SEED = int(os.environ.get("CODEC_SEED", "1"))
ROUNDS = int(os.environ.get("CODEC_ROUNDS", "15"))
SERVED = {service: Served(service) for service in ("batch", "logs", "sts")}
FILLED_BY_CLIENT = "clientToken"  # botocore makes up an idempotency token


def model(operation):
    return SERVED[OPERATIONS[operation].service].client.meta.service_model.operation_model(operation)


def seeds(operation):
    for seed in range(SEED, SEED + ROUNDS):
        print(f"operation {operation}, CODEC_SEED={seed}")  # shown by pytest when the test fails
        yield Values(f"{operation}/{seed}")


@pytest.fixture(params=OPERATIONS)
def operation(request):
    return request.param


def test_all_operations_of_the_model_are_known():
    assert set(SERVED["batch"].client.meta.service_model.operation_names) == {
        name for name, about in OPERATIONS.items() if about.service == "batch"
    }


def test_requests_arrive_as_they_were_sent(operation):
    served = SERVED[OPERATIONS[operation].service]
    for values in seeds(operation):
        parameters = values.request(model(operation))
        served.call(operation, copy.deepcopy(parameters))
        assert served.seen.route.operation == operation
        assert served.seen.caller.region == "eu-west-1"
        arrived = msgspec.to_builtins(served.seen.request)
        if FILLED_BY_CLIENT not in parameters:
            arrived.pop(FILLED_BY_CLIENT, None)
        assert arrived == parameters


def test_answers_arrive_as_they_were_sent(operation):
    for values in seeds(operation):
        wanted = values.answer(model(operation))
        about = OPERATIONS[operation]
        if about.service == "sts":  # XML has no way to say \x00
            wanted = {name: value.replace("\x00", "?") for name, value in wanted.items()}
        served = SERVED[about.service]
        served.answer = lambda *_, wanted=wanted, about=about: msgspec.convert(wanted, about.answer)
        try:
            assert served.call(operation, values.request(model(operation))) == wanted
        finally:
            served.answer = lambda *_: None


def places(shape, value, path=()):
    """(structure shape, its value, path) of every structure within the value."""
    if isinstance(shape, StructureShape):
        yield shape, value, path
        for name, each in value.items():
            yield from places(shape.members[name], each, (*path, name))
    elif isinstance(shape, ListShape):
        for index, each in enumerate(value):
            yield from places(shape.member, each, (*path, index))
    elif isinstance(shape, MapShape):
        for key, each in value.items():
            yield from places(shape.value, each, (*path, key))


def dotted(path):
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def decode(operation, parameters):
    about = OPERATIONS[operation]
    request = msgspec.convert(parameters, about.request)
    encoded = msgspec.json.encode({name: each for name, each in parameters.items() if name not in about.uri})
    if about.service == "batch" and about.method == "POST":
        path_args = {name: parameters[name] for name in about.uri if name in parameters}
        assert rest_json.decode(operation, encoded, path_args, "") == request
    return request


def test_a_missing_required_member_is_refused_by_botocore_and_by_us(operation):
    shape = model(operation).input_shape
    for values in seeds(operation):
        parameters = values.request(model(operation))
        candidates = [
            (value, path, name) for of, value, path in places(shape, parameters) for name in of.required_members
        ]
        if not candidates:
            continue
        value, path, name = values.chance.choice(candidates)
        del value[name]
        assert ParamValidator().validate(parameters, shape).has_errors()
        with pytest.raises(errors.ApiError) as refused:
            validate.check(operation, decode(operation, parameters))
        assert dotted((*path, name)) in refused.value.message


def test_an_unknown_enumeration_value_is_refused_with_the_allowed_ones(operation):
    shape = model(operation).input_shape
    for values in seeds(operation):
        parameters = values.request(model(operation))
        candidates = [
            (value, path, name, of.members[name])
            for of, value, path in places(shape, parameters)
            for name in value
            if getattr(of.members[name], "enum", None)
        ]
        if not candidates:
            continue
        value, path, name, of = values.chance.choice(candidates)
        value[name] = "NO_SUCH_VALUE"
        with pytest.raises(errors.ApiError) as refused:
            validate.check(operation, decode(operation, parameters))
        assert all(choice in refused.value.message for choice in ENUMS[of.name])


def test_a_member_of_another_type_is_a_parsing_error_with_its_path(operation):
    about = OPERATIONS[operation]
    if about.service != "batch" or about.method != "POST":
        return
    shape = model(operation).input_shape
    for values in seeds(operation):
        parameters = values.request(model(operation))
        candidates = [(value, path, name) for _, value, path in places(shape, parameters) for name in value]
        candidates = [each for each in candidates if not (each[1] == () and each[2] in about.uri)]
        if not candidates:
            continue
        value, path, name = values.chance.choice(candidates)
        value[name] = ["x"] if not isinstance(value[name], list) else {"x": 1}
        with pytest.raises(errors.ClientError) as refused:
            rest_json.decode(operation, msgspec.json.encode(parameters), {"resourceArn": "arn"}, "")
        assert refused.value.message.startswith("An error occurred during JSON parsing")
        assert name in refused.value.message


CALLS = {
    "batch": ("DescribeJobs", {"jobs": []}),
    "logs": ("DescribeLogGroups", {}),
    "sts": ("GetCallerIdentity", {}),
}


def error_classes():
    found, waiting = [], [errors.ApiError]
    while waiting:
        each = waiting.pop()
        if each.__module__ == errors.__name__:
            found.append(each)
            waiting.extend(each.__subclasses__())
    return sorted(found, key=lambda each: each.__name__)


@pytest.mark.parametrize("service", SERVED)
@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_is_read_by_botocore(kind, service):
    served = SERVED[service]
    message = 'It is "so": é 世界 \\ \n'

    def fail(*_):
        raise kind(message, "Do this next.")

    served.answer = fail
    try:
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            served.call(*CALLS[service])
    finally:
        served.answer = lambda *_: None
    response = raised.value.response
    code = query_xml.CODES.get(kind.code, kind.code) if service == "sts" else kind.code
    assert response["Error"]["Code"] == code
    assert response["Error"]["Message"] == f"{message} Do this next."
    assert response["ResponseMetadata"]["HTTPStatusCode"] == kind.status
    assert response["ResponseMetadata"]["RequestId"] == REQUEST_ID
    typed = getattr(served.client.exceptions, kind.code, None) if kind.code in modelled(served) else None
    assert typed is None or isinstance(raised.value, typed)


def modelled(served):
    return {shape.name for shape in served.client.meta.service_model.error_shapes}


def test_batch_errors_are_the_modelled_exceptions():
    assert {"ClientException", "ServerException"} <= modelled(SERVED["batch"])


def test_the_values_cover_the_model():
    """The strategy would prove nothing if it never filled the deep members."""
    shape = model("RegisterJobDefinition").input_shape
    seen = set()
    for seed in range(200):
        for of, value, _ in places(shape, Values(seed).of(shape)):
            seen |= {(of.name, name) for name in value}
    everything = {(of.name, name) for of in structures(shape, {}).values() for name in of.members}
    missed = everything - seen
    assert len(missed) < len(everything) / 20, sorted(missed)


def structures(shape, found):
    if isinstance(shape, StructureShape) and shape.name not in found:
        found[shape.name] = shape
        for member in shape.members.values():
            structures(member, found)
    elif isinstance(shape, ListShape):
        structures(shape.member, found)
    elif isinstance(shape, MapShape):
        structures(shape.value, found)
    return found


def test_null_is_the_same_as_absent_everywhere():
    values = Values("null")
    for _ in range(ROUNDS * 10):
        operation = values.chance.choice(["SubmitJob", "RegisterJobDefinition", "CreateComputeEnvironment"])
        shape = model(operation).input_shape
        parameters = values.request(model(operation))
        bare = rest_json.decode(operation, msgspec.json.encode(parameters), {}, "")
        for of, value, _ in list(places(shape, parameters)):
            value.update({name: None for name in of.members if name not in value and values.chance.random() < 0.3})
        request = rest_json.decode(operation, msgspec.json.encode(parameters), {}, "")
        assert request == bare
        assert b"null" not in msgspec.json.encode(request).replace(b'"null"', b"")
        assert request.tags is UNSET or request.tags is not None
