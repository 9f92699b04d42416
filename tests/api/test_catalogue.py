"""The catalogue of instance types over HTTP, with a real keeper: whole or not at all, and in force at once."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest

from batchyard.catalogue import reader
from batchyard.catalogue.keeper import FILE, Keeper
from batchyard.errors import Unavailable
from tests.api.caller import signed
from tests.api.test_instances import managed

HEAD = ",".join(reader.COLUMNS)
OURS = f"{HEAD}\nm6i.large,2,8192,0,x86_64,0.5,60,1\nlab.big,64,262144,8,x86_64,3.25,,\n"


@pytest.fixture
def keeper(server, tmp_path):
    keeper = Keeper(tmp_path)
    server.context.catalogue, server.context.machines = keeper, keeper.current
    return keeper


def replace(server, text):
    answer = signed(server.app, "POST", "/x/admin/catalogue", json.dumps({"csv": text}).encode())
    return answer.status, json.loads(answer.body)


def shown(server):
    return json.loads(signed(server.app, "GET", "/x/admin/catalogue").body)


def test_ours_is_shown_until_there_is_another(server, keeper):
    assert shown(server)["own"] is False
    assert len(reader.parse(shown(server)["csv"])) == 1236


def test_another_is_in_force_at_once_and_after_a_restart(server, keeper, tmp_path):
    status, told = replace(server, OURS)
    assert status == 200
    assert (told["added"], told["altered"], len(told["removed"])) == (["lab.big"], ["m6i.large"], 1235)
    assert shown(server) == {"own": True, "csv": OURS}
    assert len(Keeper(tmp_path).current()) == 2
    (found,) = server.context.machines().resolve(["lab"])
    assert (found.name, found.room.gpus) == ("lab.big", 8)


def test_environments_that_exist_keep_the_types_they_were_made_with(server, keeper):
    place = managed(server, "before", "EC2")
    before = server.store.environment_by_id(place).body["capacity"]
    replace(server, OURS)
    assert server.store.environment_by_id(place).body["capacity"] == before
    after = managed(server, "after", "EC2")
    assert server.store.environment_by_id(after).body["capacity"] != before


def test_a_type_that_is_gone_is_refused_by_name(server, keeper):
    replace(server, OURS)
    resources = {
        "type": "EC2", "minvCpus": 0, "maxvCpus": 8, "instanceTypes": ["c5.large"], "subnets": ["s"],
        "securityGroupIds": ["sg-1"], "instanceRole": "r",
    }  # fmt: skip
    with pytest.raises(botocore.exceptions.ClientError, match="c5.large"):
        server.batch.create_compute_environment(
            computeEnvironmentName="old", type="MANAGED", computeResources=resources
        )


def test_going_back(server, keeper, tmp_path):
    replace(server, OURS)
    _, told = replace(server, None)
    assert (told["removed"], told["altered"], len(told["added"])) == (["lab.big"], ["m6i.large"], 1235)
    assert not (tmp_path / FILE).exists() and shown(server)["own"] is False
    assert replace(server, None)[1] == {"added": [], "removed": [], "altered": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "column instance_type is missing"),
        (HEAD + "\n", "no types"),
        (OURS + "m6i.large,2,8192,0,x86_64,0.5,60,1\n", "line 4: m6i.large is there twice"),
        (OURS + "x.y,two,8192,0,x86_64,0.5,60,1\n", "line 4: column vcpus: 'two' is no whole number from 1"),
        (OURS + "x.y,2,-1,0,x86_64,0.5,60,1\n", "line 4: column memory_mib: '-1'"),
        (OURS + "x.y,2,8192,0,sparc,0.5,60,1\n", "line 4: column arch: 'sparc' is none of"),
        (OURS + "x.y,2,8192,0,x86_64,dear,60,1\n", "line 4: column on_demand_usd_h_us_east_1: 'dear'"),
        (OURS + "x.y,2,8192,0,x86_64,1,101,1\n", "line 4: column spot_savings_pct: '101'"),
        (OURS + "x.y,2,8192,0,x86_64,1,60,5\n", "line 4: column spot_interruption_band_0to4: '5'"),
        (OURS + "x.y,2\n", "line 4: column memory_mib: ''"),
        (OURS + '"x.y,2\n', "line 4: it is not CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_with_line_and_column_and_nothing_is_replaced(server, keeper, text, said):
    replace(server, OURS)
    status, told = replace(server, text)
    assert status == 400 and said in told["message"], told["message"]
    assert shown(server) == {"own": True, "csv": OURS}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"csv": 5}', b'{"csv": null, "path": "/etc"}'])
def test_a_body_that_is_none(server, keeper, body):
    answer = signed(server.app, "POST", "/x/admin/catalogue", body)
    assert answer.status == 400 and b"body" in answer.body


def test_a_file_that_was_spoilt_by_hand_says_so_and_can_be_replaced(server, keeper, tmp_path):
    (tmp_path / FILE).write_text("nonsense")
    with pytest.raises(Unavailable, match="admin catalogue FILE"):
        keeper.current()
    assert replace(server, OURS)[0] == 200
    assert len(keeper.current()) == 2
