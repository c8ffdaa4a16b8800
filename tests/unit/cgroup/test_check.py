"""`check` tells of each limit that this host can't enforce, with the cause and the remedy, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from circus_cg.cgroup.check import check, device_number, weight_file
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.spec import IoMax, Limits

MIB = 1 << 20
V1_CONTROLLERS = ("cpu", "cpuset", "memory", "blkio", "pids")
ON_V1_ROOT = {
    "cpu": ("cpu.cfs_quota_us", "cpu.shares"),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "memory": ("memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "blkio": ("blkio.throttle.read_bps_device", "blkio.bfq.io_service_bytes"),
    "pids": (),
}


@pytest.fixture
def v1(tmp_path: Path) -> Layout:
    for name, files in ON_V1_ROOT.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("0-3\n")
    return Layout("v1", tuple(Hierarchy(1, f"{tmp_path}/{name}", "/", (name,)) for name in V1_CONTROLLERS))


def v2(base: Path, *controllers: str, root: bool = True, **files: str) -> Layout:
    """A v2 hierarchy; `files` are those of its root, `_` for `.`."""
    (base / "cgroup.subtree_control").write_text(" ".join(controllers))
    if not root:
        (base / "cgroup.type").write_text("domain\n")
    for name, text in files.items():
        (base / name.replace("_", ".")).write_text(text)
    return Layout("v2", (Hierarchy(2, str(base), "/", controllers),))


def told(layout: Layout, limits: Limits) -> list[tuple[str, str]]:
    return [(finding.severity, finding.limit) for finding in check(layout, limits)]


def text_of(layout: Layout, limits: Limits) -> str:
    (finding,) = check(layout, limits)
    return finding.text


def test_nothing_is_said_of_what_can_be_kept(v1: Layout) -> None:
    kept = Limits(cpu_max=1, memory_max=MIB, pids_max=5, cpuset_cpus="0-3", cpuset_mems="1")
    assert told(v1, kept) == told(v1, Limits()) == []


def test_a_missing_controller_is_an_error(tmp_path: Path) -> None:
    layout = v2(tmp_path, "memory")
    assert told(layout, Limits(cpu_max=1, pids_max=3)) == [("error", "cpu_max"), ("error", "pids_max")]
    assert "no cpu controller here; enable the cpu controller" in text_of(layout, Limits(cpu_max=1))


def test_v1_warns_of_what_is_only_similar(v1: Layout) -> None:
    limits = Limits(cpu_weight=50, memory_low=0, io_weight=10, io_max=(IoMax(device="8:0", rbps=1),))
    assert set(told(v1, limits)) == {("warning", n) for n in ("cpu_weight", "memory_low", "io_weight", "io_max")}
    assert text_of(v1, Limits(cpu_weight=50)).startswith("cpu_weight is approximate on cgroup v1: ")


def test_v1_warns_that_swap_is_limited_only_in_the_sum(v1: Layout) -> None:
    swapless = Limits(memory_max=MIB, memory_swap_max=0)
    assert told(v1, swapless) == [("warning", "memory_swap_max")]
    assert "limited in their sum" in text_of(v1, swapless)


def test_v1_warns_that_the_daemon_ends_the_rest_of_a_group_itself(v1: Layout) -> None:
    assert told(v1, Limits(memory_oom_group=True)) == [("warning", "memory_oom_group")]


def test_v1_refuses_what_it_does_not_have(v1: Layout) -> None:
    assert told(v1, Limits(memory_high=MIB)) == [("error", "memory_high")]
    assert text_of(v1, Limits(memory_high=MIB)).startswith("cannot enforce memory_high: v1 has no throttling")


@pytest.mark.parametrize("swap", [0, MIB])
def test_v1_limits_swap_only_together_with_memory(v1: Layout, swap: int) -> None:
    assert "give memory_max too" in text_of(v1, Limits(memory_swap_max=swap))


def test_a_host_without_swap_accounting_is_told(v1: Layout) -> None:
    memory = v1.of("memory")
    assert memory is not None
    Path(memory.directory, "memory.memsw.limit_in_bytes").unlink()
    assert "boot with swapaccount=1" in text_of(v1, Limits(memory_max=MIB, memory_swap_max=0))
    assert told(v1, Limits(memory_max=MIB)) == []


def test_a_file_that_no_root_has_is_looked_for_in_a_child(v1: Layout) -> None:
    pids = v1.of("pids")
    assert pids is not None
    Path(pids.directory, "child").mkdir()
    assert told(v1, Limits(pids_max=3)) == [("error", "pids_max")]
    Path(pids.directory, "child/pids.max").write_text("max\n")
    assert told(v1, Limits(pids_max=3)) == []


def test_a_v2_group_shows_what_its_children_will_have(tmp_path: Path) -> None:
    layout = v2(tmp_path, "memory", root=False, memory_max="max\n")
    assert told(layout, Limits(memory_max=MIB, memory_swap_max=0)) == [("error", "memory_swap_max")]


def test_a_v2_root_without_children_shows_nothing_and_is_trusted(tmp_path: Path) -> None:
    layout = v2(tmp_path, "cpu", "memory", "pids")
    assert told(layout, Limits(cpu_max=1, memory_max=MIB, pids_max=3, memory_high=MIB, memory_oom_group=True)) == []


def test_io_weight_needs_something_that_weighs(tmp_path: Path) -> None:
    layout = v2(tmp_path, "io")
    assert "load bfq" in text_of(layout, Limits(io_weight=10))
    (tmp_path / "io.cost.qos").write_text("")
    assert told(layout, Limits(io_weight=10)) == []
    assert weight_file(layout.hierarchies[0]) == "io.weight"


def test_bfq_on_v2_has_a_file_of_its_own(tmp_path: Path) -> None:
    layout = v2(tmp_path, "io")
    (tmp_path / "child").mkdir()
    (tmp_path / "child/io.bfq.weight").write_text("100\n")
    assert weight_file(layout.hierarchies[0]) == "io.bfq.weight"


def test_cpus_that_are_not_there_are_named(v1: Layout, tmp_path: Path) -> None:
    assert "no CPUs [4, 9] here; there are [0, 1, 2, 3]" in text_of(v1, Limits(cpuset_cpus="2-4,9"))
    (tmp_path / "v2").mkdir()
    layout = v2(tmp_path / "v2", "cpuset", cpuset_mems_effective="0\n")
    assert "no memory nodes [1] here" in text_of(layout, Limits(cpuset_mems="0-1"))
    assert told(layout, Limits(cpuset_cpus="77")) == []  # it can't be told


def test_a_device_is_a_number_or_a_block_devices_path(v1: Layout, tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.touch()
    assert device_number("8:16") == "8:16"
    assert device_number(str(plain)) is None and device_number(str(tmp_path / "none")) is None
    limits = Limits(io_max=(IoMax(device=str(plain), rbps=1),))
    assert f"{plain} is no block device here; give its path or MAJOR:MINOR" in text_of(v1, limits)
