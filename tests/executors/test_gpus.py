"""Which GPUs a machine has, by fake trees of its files; what a job is told of them, and what it is kept from."""

from __future__ import annotations

import os

import pytest

from batchyard import config
from batchyard.executors import contract, gpus
from batchyard.executors.gpus import Gpu
from tests.executors.yard import Yard

A, B, C = (f"GPU-{digit * 8}-1111-2222-3333-444444444444" for digit in "abc")
SMI = f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: {A})\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: {B})\n"


def machine(root, nodes=(), driver=()):
    """`driver`: (address on the bus, N of /dev/nvidiaN, UUID) of each."""
    (root / "dev").mkdir()
    for name in (*(f"nvidia{number}" for number in nodes), "nvidiactl", "nvidia-uvm", "null"):
        (root / "dev" / name).touch()
    for address, minor, uuid in driver:
        directory = root / "proc/driver/nvidia/gpus" / address
        directory.mkdir(parents=True)
        text = f"Model: \t\t NVIDIA A10G\nGPU UUID: \t {uuid}\nBus Type: \t PCIe\nDevice Minor: \t {minor}\n"
        (directory / "information").write_text(text)
    return root


def never() -> str:
    raise AssertionError("it takes seconds, and was not needed")


def test_a_machine_without_gpus_has_none(tmp_path):
    assert gpus.found(machine(tmp_path), lambda: "") == ()


def test_the_driver_tells_in_the_order_of_the_bus_whose_device_is_whose(tmp_path):
    root = machine(tmp_path, (0, 1), [("0000:00:1e.0", 0, B), ("0000:00:1b.0", 1, A)])
    assert gpus.found(root, never) == (Gpu(A, "/dev/nvidia1"), Gpu(B, "/dev/nvidia0"))


def test_a_container_has_those_whose_devices_it_was_given(tmp_path):
    root = machine(tmp_path, (1,), [("0000:00:1b.0", 0, A), ("0000:00:1e.0", 1, B)])
    assert gpus.found(root, never) == (Gpu(B, "/dev/nvidia1"),)


def test_nvidia_smi_is_asked_where_the_driver_has_not_looked_yet(tmp_path):
    unknown = "GPU-????????-????-????-????-????????????"
    root = machine(tmp_path, (0, 1), [("0000:00:1b.0", 0, unknown), ("0000:00:1e.0", 1, unknown)])
    assert gpus.found(root, lambda: SMI) == (Gpu(A, None), Gpu(B, None))
    assert gpus.found(root, lambda: "") == (Gpu(None, "/dev/nvidia0"), Gpu(None, "/dev/nvidia1"))


def test_where_there_is_one_it_is_known_whose_the_device_is(tmp_path):
    assert gpus.found(machine(tmp_path, (3,)), lambda: SMI.splitlines()[0]) == (Gpu(A, "/dev/nvidia3"),)


def test_nvidia_smi_is_enough(tmp_path):
    assert gpus.found(machine(tmp_path), lambda: SMI) == (Gpu(A, None), Gpu(B, None))


# -- what a job is told ----------------------------------------------------------------------------------------------

KNOWN = (Gpu(A, "/dev/nvidia0"), Gpu(B, "/dev/nvidia1"), Gpu(C, "/dev/nvidia2"))


def test_a_job_is_told_the_uuids_of_its_own_and_kept_from_the_others():
    told = gpus.variables((0, 2), False, KNOWN)
    assert told == {"CUDA_VISIBLE_DEVICES": f"{A},{C}", "NVIDIA_VISIBLE_DEVICES": f"{A},{C}"}
    assert gpus.foreign((0, 2), KNOWN) == ["/dev/nvidia1"]


def test_a_job_without_gpus_sees_none():
    assert gpus.variables((), False, KNOWN) == {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}
    assert gpus.foreign((), KNOWN) == ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2"]


def test_where_uuids_are_not_known_it_is_told_numbers_and_nothing_is_hidden():
    unknown = (Gpu(None, "/dev/nvidia0"), Gpu(None, "/dev/nvidia1"))
    told = gpus.variables((1,), False, unknown)
    numbers = {"CUDA_VISIBLE_DEVICES": "1", "NVIDIA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert told == numbers
    assert gpus.foreign((1,), unknown) == [], "with one hidden, number 1 would mean another"


def test_more_may_be_declared_than_there_are():
    assert gpus.variables((3,), True, KNOWN)["CUDA_VISIBLE_DEVICES"] == "3"
    assert gpus.variables((0,), True, ())["NVIDIA_VISIBLE_DEVICES"] == "0"


def test_a_machine_that_has_none_and_lends_none_says_nothing():
    assert gpus.variables((), False, ()) == {}


def test_the_definition_does_not_choose(tmp_path):
    yard = Yard(tmp_path)
    spec = yard.spec("true", environment=[{"name": "CUDA_VISIBLE_DEVICES", "value": "0,1,2"}])
    order = contract.order(spec._replace(devices=(1,)), config.load({"data": "/D"}, {}), {}, KNOWN)
    assert order["env"]["CUDA_VISIBLE_DEVICES"] == B
    assert order["deny"] == ["/dev/nvidia0", "/dev/nvidia2"]


# -- what it is kept from --------------------------------------------------------------------------------------------


@pytest.fixture
def devices(tmp_path):
    """Two character devices that anybody may open."""
    made = [tmp_path / f"nvidia{number}" for number in range(2)]
    for path in made:
        try:
            os.mknod(path, 0o20666, os.makedev(1, 3))
            path.chmod(0o666)
            path.open("rb").close()
        except OSError:
            pytest.skip("devices can be made, or opened, by root alone, and not everywhere")
    return [str(path) for path in made]


def test_a_job_cannot_open_the_gpus_of_others_and_the_next_one_can(isolated, devices):
    own, other = devices
    script = f"for f in {own} {other}; do (: < $f) 2>/dev/null && echo open || echo denied; done"
    for held, said in ((own, "open\ndenied\n"), (other, "denied\nopen\n"), (own, "open\ndenied\n")):
        others = tuple(Gpu(A, path) for path in devices)
        isolated.executor._gpus = others
        spec = isolated.spec("sh", "-c", script)
        attempt = isolated.start(spec._replace(devices=(devices.index(held),)))
        assert isolated.ended(attempt).ending.exit_code == 0
        assert isolated.output(attempt) == said


def test_nobody_else_notices(isolated, devices):
    isolated.executor._gpus = tuple(Gpu(A, path) for path in devices)
    attempt = isolated.start(isolated.spec("sleep", "0.5"))
    isolated.began(attempt)
    for path in devices:
        with open(path, "rb"):
            pass
    isolated.ended(attempt)
