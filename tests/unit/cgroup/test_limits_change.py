"""Limits of running groups become others in an order that the kernel takes, and nothing of the old ones is left."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.cgroup.limits import settings
from circus_cg.cgroup.limits.change import INHERITED, Changes, changes, effective
from circus_cg.cgroup.limits.memory import MEMSW
from circus_cg.spec import IoMax, Limits

MB = 1 << 20


def texts(found: Changes) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return [(s.file, s.text) for s in found.wider], [(s.file, s.text) for s in found.narrower]


def test_the_same_limits_need_no_write() -> None:
    limits = Limits(memory_max=MB, cpu_max=1.5, io_max=(IoMax(device="8:0", rbps=1),), cpuset_cpus="0-1")
    for version in (1, 2):
        assert changes(limits, limits, version) == Changes((), ())


@pytest.mark.parametrize(
    ("old", "new", "version", "wider", "narrower"),
    [
        ({"memory_max": MB}, {"memory_max": 2 * MB}, 2, [("memory.max", str(2 * MB))], []),
        ({"memory_max": 2 * MB}, {"memory_max": MB}, 2, [], [("memory.max", str(MB))]),
        ({}, {"memory_max": MB}, 1, [], [("memory.limit_in_bytes", str(MB))]),
        ({"memory_max": MB}, {}, 1, [("memory.limit_in_bytes", "-1")], []),
        ({"cpu_max": 1.0}, {"cpu_max": 0.5}, 2, [], [("cpu.max", "50000 100000")]),
        ({"cpu_max": 0.5}, {}, 2, [("cpu.max", "max 100000")], []),
        ({"cpu_max": 0.5}, {}, 1, [("cpu.cfs_quota_us", "-1")], []),
        ({"pids_max": 9}, {"pids_max": 3}, 1, [], [("pids.max", "3")]),
        ({"cpu_weight": 50}, {}, 1, [("cpu.shares", "1024")], []),
        ({"memory_oom_group": True}, {}, 2, [("memory.oom.group", "0")], []),
        ({"memory_low": MB}, {}, 2, [("memory.low", "0")], []),
        ({"io_weight": 500}, {}, 2, [("io.weight", "100")], []),
        ({"cpuset_cpus": "0"}, {"cpuset_cpus": "0-1"}, 1, [("cpuset.cpus", "0-1")], []),
        ({"cpuset_cpus": "0-1"}, {"cpuset_cpus": "1"}, 1, [], [("cpuset.cpus", "1")]),
        ({"cpuset_cpus": "0"}, {"cpuset_cpus": "1"}, 1, [("cpuset.cpus", "0,1")], [("cpuset.cpus", "1")]),
        ({"cpuset_cpus": "0"}, {}, 2, [("cpuset.cpus", "")], []),
        ({}, {"cpuset_cpus": "0"}, 1, [], [("cpuset.cpus", "0")]),
    ],
)
def test_what_grows_is_told_from_what_shrinks(
    old: dict[str, Any], new: dict[str, Any], version: int, wider: list[Any], narrower: list[Any]
) -> None:
    assert texts(changes(Limits(**old), Limits(**new), version)) == (wider, narrower)


def test_a_device_loses_what_it_is_no_longer_limited_in() -> None:
    old = Limits(io_max=(IoMax(device="8:0", rbps=1, wbps=2), IoMax(device="8:16", riops=3)))
    new = Limits(io_max=(IoMax(device="8:0", rbps=5),))
    assert texts(changes(old, new, 2))[0] == [
        ("io.max", "8:0 rbps=5 wbps=max riops=max wiops=max"),
        ("io.max", "8:16 rbps=max wbps=max riops=max wiops=max"),
    ]
    assert sorted(texts(changes(old, new, 1))[0]) == [
        ("blkio.throttle.read_bps_device", "8:0 5"),
        ("blkio.throttle.read_iops_device", "8:16 0"),
        ("blkio.throttle.write_bps_device", "8:0 0"),
    ]


sizes = st.integers(1, 8).map(lambda n: n * MB)
v1_memory = st.builds(
    lambda size, swap: Limits(memory_max=size, memory_swap_max=swap), sizes, st.none() | sizes
) | st.just(Limits())


@given(old=v1_memory, new=v1_memory)
def test_v1_never_sees_less_memory_and_swap_than_memory(old: Limits, new: Limits) -> None:
    """The kernel refuses it at any instant: played here as it does."""
    unlimited = 1 << 60
    files = {"memory.limit_in_bytes": unlimited, MEMSW: unlimited}
    files |= {s.file: int(s.text) for s in settings(old, 1)}
    for setting in changes(old, new, 1).all:
        files[setting.file] = unlimited if setting.text == "-1" else int(setting.text)
        assert files["memory.limit_in_bytes"] <= files[MEMSW]
    wanted = {"memory.limit_in_bytes": unlimited, MEMSW: unlimited} | {s.file: int(s.text) for s in settings(new, 1)}
    assert files == wanted


cpus = st.none() | st.floats(0.1, 4)
sets = st.sampled_from(["0", "1", "0-1", "0,2", "2-3"])
limits = st.builds(Limits, cpu_max=cpus)


@given(old=v1_memory, new=v1_memory)
def test_nor_where_only_the_kernel_knows_what_was_in_force(old: Limits, new: Limits) -> None:
    unlimited = 9223372036854771712  # as v1 shows it
    files = {"memory.limit_in_bytes": unlimited, MEMSW: unlimited}
    files |= {s.file: int(s.text) for s in settings(old, 1)}
    for setting in changes(None, new, 1, {file: str(size) for file, size in files.items()}).all:
        if setting.file in files:
            files[setting.file] = unlimited if setting.text == "-1" else int(setting.text)
            assert files["memory.limit_in_bytes"] <= files[MEMSW]
    wanted = {"memory.limit_in_bytes": unlimited, MEMSW: unlimited} | {s.file: int(s.text) for s in settings(new, 1)}
    assert files == wanted


@pytest.mark.parametrize("known", [True, False], ids=["known", "read"])
@given(data=st.data())
def test_a_child_never_has_more_than_its_parent_on_the_way(data: st.DataObject, known: bool) -> None:
    """v1's rules for quotas and cpusets, at each write; the order is the one that `relimit` writes in. Of an arbiter
    that died only the groups tell what it had done.
    """
    of_sum, of_one = [data.draw(st.tuples(limits, sets)) for _ in range(2)], [data.draw(limits) for _ in range(2)]
    sums = [Limits(cpu_max=one.cpu_max, cpuset_cpus=cpus) for one, cpus in of_sum]
    workers = [effective(one, total, 1) for one, total in zip(of_one, sums, strict=True)]
    parent, child = (_files(one) for one in (sums[0], workers[0]))
    for_parent = changes(sums[0] if known else None, sums[1], 1, parent)
    for_child = changes(workers[0] if known else None, workers[1], 1, child)
    for group, writes in ((parent, for_parent.wider), (child, for_child.all), (parent, for_parent.narrower)):
        for setting in writes:
            if setting.file in group and setting.text != INHERITED:
                group[setting.file] = setting.text
                _accepted(parent, child)
    assert (parent, child) == (_files(sums[1]), _files(workers[1]))


def _files(limits: Limits) -> dict[str, str]:
    return {"cpu.cfs_quota_us": "-1"} | {s.file: s.text for s in settings(limits, 1)}


def _accepted(parent: dict[str, str], child: dict[str, str]) -> None:
    quotas = [int(group["cpu.cfs_quota_us"]) for group in (parent, child)]
    assert -1 in quotas or quotas[1] <= quotas[0], quotas
    both = [_cpus(group["cpuset.cpus"]) for group in (parent, child)]
    assert both[0] >= both[1], both


def _cpus(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_what_is_in_force_tells_more_from_less_whatever_is_thought_of_it() -> None:
    """As after a change that was refused half-way; and what is the same in both is not touched."""
    old, new = Limits(cpu_max=4.0, pids_max=9), Limits(cpu_max=2.0, pids_max=9)
    found = changes(old, new, 1, {"cpu.cfs_quota_us": "100000", "pids.max": "3"})
    assert texts(found) == ([("cpu.cfs_quota_us", "200000")], [])


def test_where_nobody_knows_what_is_in_force_everything_is_written() -> None:
    found = changes(None, Limits(memory_max=MB), 2)
    written = {setting.file: setting.text for setting in found.all}
    assert written["memory.max"] == str(MB) and written["pids.max"] == "max" and written["cpu.max"] == "max 100000"
    assert {setting.controller for setting in found.all} == {"cpu", "cpuset", "memory", "pids", "io"}
