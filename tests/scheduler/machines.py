"""A small catalogue for stories: prices and interruptions chosen so that every strategy has its own favourite."""

from __future__ import annotations

from batchyard.model.environments import EC2, FARGATE, SPOT, Capacity, InstanceType
from batchyard.model.needs import Needs


def kind(name, vcpus, memory_mib, price, spot_price=0, interruption=0, gpus=0, usable_mib=None) -> InstanceType:
    """An instance type; prices in thousandths of a dollar an hour."""
    room = Needs(vcpus * 1000, memory_mib, gpus)
    return InstanceType(
        name, room, memory_mib if usable_mib is None else usable_mib, price * 1000, spot_price * 1000, interruption
    )


SMALL = kind("c.small", 2, 4096, price=90, spot_price=40, interruption=3)
LARGE = kind("c.large", 8, 16_384, price=300, spot_price=160, interruption=1)
WIDE = kind("r.wide", 4, 32_768, price=200, spot_price=70, interruption=2)
STEADY = kind("m.steady", 4, 16_384, price=210, spot_price=150, interruption=0)
GPU = kind("g.gpu", 4, 16_384, price=100, spot_price=30, interruption=4, gpus=2)


def on_demand(*types, max_vcpus=16, min_vcpus=0, strategy="BEST_FIT_PROGRESSIVE", **more) -> Capacity:
    return Capacity(EC2, max_vcpus * 1000, min_vcpus * 1000, strategy=strategy, types=types, **more)


def spot(*types, max_vcpus=16, strategy="SPOT_CAPACITY_OPTIMIZED", **more) -> Capacity:
    return Capacity(SPOT, max_vcpus * 1000, strategy=strategy, types=types, **more)


def fargate(max_vcpus=4) -> Capacity:
    return Capacity(FARGATE, max_vcpus * 1000)
