"""A worker's group has its limits from birth, whatever the layout; usage is what the kernel counted."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from circus_cg.cgroup.group import WatcherGroup
from circus_cg.cgroup.relimit import relimit
from circus_cg.errors import CgroupError
from circus_cg.spec import IoMax, Limits
from tests.conftest import until
from tests.functional.groups import SPIN, Place, kill, members, needs, read, status

MIB = 1 << 20
COMMON = Limits(memory_max=64 * MIB, pids_max=20, cpu_max=0.5)
IN_FORCE = (
    ("cpu.max", "cpu.cfs_quota_us"),
    ("cpuset.cpus",),
    ("memory.max", "memory.limit_in_bytes"),
    ("memory.swap.max", "memory.memsw.limit_in_bytes"),
)


def assert_common_limits(directories: list[str]) -> None:
    assert read(directories, "memory.max", "memory.limit_in_bytes") == str(64 * MIB)
    assert read(directories, "pids.max") == "20"
    assert read(directories, "cpu.max", "cpu.cfs_quota_us") in ("50000 100000", "50000")


def in_force(directories: list[str]) -> list[str]:
    """What is bound up with other limits."""
    there = [names for names in IN_FORCE if any(Path(d, name).exists() for d in directories for name in names)]
    return [read(directories, *names) for names in there]


def directories_of(watcher: WatcherGroup) -> list[str]:
    return list(watcher.directories)


def test_a_created_group_has_its_limits(place: Place) -> None:
    needs(place, COMMON)
    assert_common_limits(place.worker(COMMON).directories)


def test_creating_a_group_again_changes_nothing(place: Place) -> None:
    needs(place, COMMON)
    watcher = place.watcher(COMMON, COMMON)
    watcher.ensure()
    for _ in range(2):
        watcher.worker(1, 1).create()
    assert_common_limits(watcher.worker(1, 1).directories)
    assert watcher.lives() == {(1, 1)}


def test_the_sum_of_the_workers_is_limited_at_the_watcher(place: Place) -> None:
    needs(place, COMMON)
    watcher = place.watcher(watcher_limits=COMMON)
    assert_common_limits(directories_of(watcher))


def test_a_worker_may_be_allowed_more_cpu_than_its_watcher_has(place: Place) -> None:
    needs(place, COMMON)
    group = place.worker(Limits(cpu_max=2), Limits(cpu_max=0.5))
    assert read(group.directories, "cpu.max", "cpu.cfs_quota_us") in ("200000 100000", "50000")


def test_the_cpu_weight_is_in_force(place: Place) -> None:
    needs(place, Limits(cpu_weight=50))
    group = place.worker(Limits(cpu_weight=50))
    assert read(group.directories, "cpu.weight", "cpu.shares") in ("50", "512")


@pytest.mark.host_may_lack("the cpuset controller, on one CPU")
def test_a_group_with_cpus_can_be_joined_though_no_memory_nodes_were_named(place: Place) -> None:
    needs(place, Limits(cpuset_cpus="0"))
    group = place.worker(Limits(cpuset_cpus="0"))
    assert read(group.directories, "cpuset.cpus") == "0"
    sleeper = place.sleeper(group)
    allowed = [
        line for line in Path(f"/proc/{sleeper.pid}/status").read_text().splitlines() if "Cpus_allowed_l" in line
    ]
    assert allowed == ["Cpus_allowed_list:\t0"]
    kill(group)


@pytest.mark.host_may_lack("swap accounting")
def test_swap_is_limited_apart_from_memory(place: Place) -> None:
    limits = Limits(memory_max=64 * MIB, memory_swap_max=16 * MIB)
    needs(place, limits)
    group = place.worker(limits)
    found = read(group.directories, "memory.swap.max", "memory.memsw.limit_in_bytes")
    assert found in (str(16 * MIB), str(80 * MIB))


@pytest.mark.host_may_lack("swap accounting")
@pytest.mark.parametrize("earlier", [16, 64, 1024], ids=lambda mib: f"from {mib} MiB")
def test_the_sum_can_be_raised_and_lowered_with_its_swap(place: Place, earlier: int) -> None:
    """On v1 memory may never exceed memory and swap together, not even between two writes."""
    wanted = Limits(memory_max=64 * MIB, memory_swap_max=16 * MIB)
    needs(place, wanted)
    place.watcher(watcher_limits=Limits(memory_max=earlier * MIB, memory_swap_max=0))
    watcher = place.watcher(watcher_limits=wanted)
    assert read(watcher.directories, "memory.max", "memory.limit_in_bytes") == str(64 * MIB)
    found = read(watcher.directories, "memory.swap.max", "memory.memsw.limit_in_bytes")
    assert found in (str(16 * MIB), str(80 * MIB))


@pytest.mark.host_may_lack("the cpuset controller, swap accounting, or a second CPU")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([Limits(cpu_max=1), Limits(cpu_max=1)], [Limits(cpu_max=2), Limits(cpu_max=4)]),
        ([Limits(cpu_max=4), Limits(cpu_max=1)], [Limits(cpu_max=4), Limits(cpu_max=2)]),
        ([Limits(cpu_max=2), Limits(cpu_max=4)], [Limits(cpu_max=1), Limits(cpu_max=1)]),
        ([Limits(), Limits(cpuset_cpus="0")], [Limits(), Limits(cpuset_cpus="0-1")]),
        ([Limits(), Limits(cpuset_cpus="0")], [Limits(), Limits(cpuset_cpus="1")]),
        ([Limits(memory_max=64 * MIB, memory_swap_max=0)] * 2, [Limits(memory_max=96 * MIB, memory_swap_max=MIB)] * 2),
        ([Limits(memory_max=96 * MIB, memory_swap_max=MIB)] * 2, [Limits(memory_max=64 * MIB, memory_swap_max=0)] * 2),
    ],
    ids=["quotas up", "sum up", "quotas down", "more CPUs", "other CPUs", "memory up", "memory down"],
)  # fmt: skip
def test_what_an_arbiter_left_is_changed_though_nobody_knows_what_it_was(
    place: Place, old: list[Limits], new: list[Limits]
) -> None:
    """v1 refuses a child that has more than its parent, and memory beyond memory and swap, at each single write."""
    for limits in new:
        needs(place, limits)
    group = place.worker(*old)
    place.sleeper(group)
    watcher = WatcherGroup(place.tree, "w", *new)
    assert relimit(None, watcher, [(1, 1)]) == []
    watcher.worker(1, 2).create()  # the next life has the same
    assert in_force(group.directories) == in_force(watcher.worker(1, 2).directories)
    assert in_force(directories_of(watcher)) == in_force(directories_of(place.watcher(*new, name="fresh")))


def test_protection_and_throttling_of_memory_are_in_force_where_they_exist(place: Place) -> None:
    limits = Limits(memory_low=8 * MIB, memory_high=32 * MIB, memory_oom_group=True)
    group = place.worker(limits)
    assert read(group.directories, "memory.low", "memory.soft_limit_in_bytes") == str(8 * MIB)
    if place.enforces(limits):
        assert read(group.directories, "memory.high") == str(32 * MIB)
        assert read(group.directories, "memory.oom.group") == "1"


@pytest.mark.host_may_lack("a block device or the io controller")
def test_a_block_device_is_limited(place: Place) -> None:
    devices = sorted(Path("/sys/block").glob("*/dev"))
    if not devices:
        pytest.skip("no block device here")
    number = devices[0].read_text().strip()
    limits = Limits(io_max=(IoMax(device=number, wbps=1 * MIB, riops=100),))
    needs(place, limits)
    group = place.worker(limits)
    assert number in read(group.directories, "io.max", "blkio.throttle.write_bps_device")
    assert str(MIB) in read(group.directories, "io.max", "blkio.throttle.write_bps_device")
    assert "100" in read(group.directories, "io.max", "blkio.throttle.read_iops_device")


@pytest.mark.host_may_lack("a scheduler that weighs IO")
def test_io_is_weighed(place: Place) -> None:
    needs(place, Limits(io_weight=50))
    group = place.worker(Limits(io_weight=50))
    weight = read(group.directories, "io.weight", "io.bfq.weight", "blkio.bfq.weight", "blkio.weight")
    assert weight.split()[-1] == "50"


def test_a_limit_that_the_kernel_refuses_is_an_error_that_names_file_and_text(place: Place) -> None:
    needs(place, Limits(pids_max=5))
    watcher = place.watcher(Limits(pids_max=-2))
    with pytest.raises(CgroupError, match=r"cannot write '-2' to /.*/w/1\.1/pids\.max: Invalid") as refused:
        watcher.worker(1, 1).create()
    assert refused.value.errno == errno.EINVAL


def test_usage_is_what_the_kernel_counted(place: Place) -> None:
    needs(place, COMMON)
    group = place.worker(Limits(memory_max=64 * MIB, pids_max=20, cpu_max=0.2))
    place.run(group, "b = bytearray(20 << 20)\n" + SPIN)
    until(lambda: (group.usage().memory_current or 0) > 20 * MIB, 20, "its memory")
    until(lambda: (group.usage().nr_throttled or 0) >= 2, 20, "the quota to throttle it")
    usage = group.usage()
    assert usage.memory_max == 64 * MIB and usage.pids == 1
    assert usage.memory_current is not None and 20 * MIB < usage.memory_current <= 64 * MIB
    assert usage.memory_peak is None or usage.memory_peak >= usage.memory_current
    assert usage.cpu_seconds is not None and usage.cpu_seconds > 0
    assert usage.nr_periods is not None and usage.throttled_seconds is not None and usage.throttled_seconds > 0
    kill(group)
    until(group.remove, why="its removal")
    assert group.usage().memory_current is None


def test_pids_max_counts_what_is_in_the_group(place: Place) -> None:
    needs(place, Limits(pids_max=2))
    group = place.worker(Limits(pids_max=2))
    process: subprocess.Popen[bytes] = place.run(
        group, "for i in range(3):\n  try:\n    if os.fork() == 0: time.sleep(1000)\n  except OSError: os._exit(7)"
    )
    assert status(process) == 7
    assert len(members(group)) == 1
    kill(group)
