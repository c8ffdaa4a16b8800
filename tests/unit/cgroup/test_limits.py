"""Limits are data before they are writes: for each version the right files, texts and order."""

from __future__ import annotations

import pytest

from circus_cg.cgroup import limits as room
from circus_cg.cgroup.limits import V1_SUPPORT, Setting
from circus_cg.cgroup.limits.io import bfq
from circus_cg.spec import IoMax, Limits

MIB = 1 << 20


def v1(**given: object) -> list[tuple[str, str]]:
    return [(s.file, s.text) for s in room.settings(Limits(**given), 1)]  # type: ignore[arg-type]


def v2(**given: object) -> list[tuple[str, str]]:
    return [(s.file, s.text) for s in room.settings(Limits(**given), 2)]  # type: ignore[arg-type]


def test_no_limit_writes_nothing_and_needs_no_controller() -> None:
    assert v1() == v2() == []
    assert room.controllers(Limits()) == frozenset()
    assert room.given(Limits()) == {}


@pytest.mark.parametrize(
    ("limit", "value", "on_v2", "on_v1"),
    [
        ("cpu_max", 1.5, [("cpu.max", "150000 100000")], [("cpu.cfs_quota_us", "150000")]),
        ("cpu_max", 0.001, [("cpu.max", "1000 100000")], [("cpu.cfs_quota_us", "1000")]),
        ("cpu_weight", 100, [("cpu.weight", "100")], [("cpu.shares", "1024")]),
        ("cpu_weight", 1, [("cpu.weight", "1")], [("cpu.shares", "10")]),
        ("cpuset_cpus", "0-3,5", [("cpuset.cpus", "0-3,5")], [("cpuset.cpus", "0-3,5")]),
        ("cpuset_mems", "0", [("cpuset.mems", "0")], [("cpuset.mems", "0")]),
        ("memory_max", MIB, [("memory.max", str(MIB))], [("memory.limit_in_bytes", str(MIB))]),
        ("memory_low", MIB, [("memory.low", str(MIB))], [("memory.soft_limit_in_bytes", str(MIB))]),
        ("memory_high", MIB, [("memory.high", str(MIB))], []),
        ("memory_swap_max", 0, [("memory.swap.max", "0")], []),
        ("memory_oom_group", True, [("memory.oom.group", "1")], []),
        ("pids_max", 7, [("pids.max", "7")], [("pids.max", "7")]),
        ("io_weight", 100, [("io.weight", "100")], [("blkio.bfq.weight", "100")]),
    ],
)
def test_each_limit_is_spelt_as_its_version_has_it(
    limit: str, value: object, on_v2: list[tuple[str, str]], on_v1: list[tuple[str, str]]
) -> None:
    assert v2(**{limit: value}) == on_v2
    assert v1(**{limit: value}) == on_v1


def test_on_v1_swap_is_the_sum_and_comes_after_memory() -> None:
    assert v1(memory_max=64 * MIB, memory_swap_max=16 * MIB) == [
        ("memory.limit_in_bytes", str(64 * MIB)),
        ("memory.memsw.limit_in_bytes", str(80 * MIB)),
    ]


def test_io_max_is_one_line_a_device_on_v2_and_one_a_number_on_v1() -> None:
    devices = (IoMax(device="8:0", rbps=MIB, wiops=50), IoMax(device="8:16", wbps=2 * MIB, riops=60))
    assert v2(io_max=devices) == [("io.max", f"8:0 rbps={MIB} wiops=50"), ("io.max", f"8:16 wbps={2 * MIB} riops=60")]
    assert v1(io_max=devices) == [
        ("blkio.throttle.read_bps_device", f"8:0 {MIB}"),
        ("blkio.throttle.write_iops_device", "8:0 50"),
        ("blkio.throttle.write_bps_device", f"8:16 {2 * MIB}"),
        ("blkio.throttle.read_iops_device", "8:16 60"),
    ]


@pytest.mark.parametrize(("weight", "scaled"), [(1, 1), (100, 100), (101, 100), (5050, 550), (10000, 1000)])
def test_weights_fit_bfqs_scale(weight: int, scaled: int) -> None:
    assert bfq(weight) == scaled


def test_controllers_follow_from_the_limits() -> None:
    limits = Limits(cpu_weight=10, memory_low=MIB, io_weight=5, cpuset_cpus="0")
    assert room.controllers(limits) == {"cpu", "memory", "io", "cpuset"}
    assert {s.controller for s in room.settings(limits, 1)} == {"cpu", "memory", "blkio", "cpuset"}


def test_zero_is_a_limit() -> None:
    assert room.given(Limits(memory_swap_max=0, memory_low=0)) == {"memory_swap_max": 0, "memory_low": 0}


def test_v1_support_is_stated_for_every_limit_there_is() -> None:
    assert set(V1_SUPPORT) == set(Limits.__struct_fields__)
    assert {name for name, support in V1_SUPPORT.items() if support.grade == "refused"} == {"memory_high"}
    assert all(support.why for support in V1_SUPPORT.values() if support.grade != "exact")


def test_what_v1_refuses_is_never_written_there() -> None:
    for name, support in V1_SUPPORT.items():
        if support.grade == "refused":
            assert v1(**{name: True if name.endswith("group") else MIB}) == []


def test_a_setting_names_its_controller() -> None:
    assert room.settings(Limits(pids_max=3), 2) == (Setting("pids", "pids.max", "3"),)
