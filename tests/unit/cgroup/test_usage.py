"""Usage is read from literal files, as kernels of each layout print them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus_cg.cgroup.files import CLOSED, Kept
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.cgroup.usage import FIRST_LINE, Meter, Usage, Work, cpu_seconds

MIB = 1 << 20
HYBRID_CPU_STAT = "usage_usec 565442\nuser_usec 500000\nsystem_usec 65442\nnice_usec 0\n"
V2_CPU_STAT = HYBRID_CPU_STAT + "nr_periods 30\nnr_throttled 29\nthrottled_usec 2280000\nnr_bursts 0\nburst_usec 0\n"
V1_CPU_STAT = "nr_periods 30\nnr_throttled 29\nthrottled_time 2280000000\nnr_bursts 0\nburst_time 0\n"
PRESSURE = "some avg10=1.50 avg60=0.00 avg300=0.00 total=7\n"
V1_MEMORY = {
    "memory.usage_in_bytes": "1048576\n",
    "memory.max_usage_in_bytes": "2097152\n",
    "memory.limit_in_bytes": "67108864\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
}
V2_MEMORY = {
    "memory.current": "1048576\n",
    "memory.peak": "2097152\n",
    "memory.max": "67108864\n",
    "memory.events": "low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.events.local": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
}


class Groups:
    """Directories that stand for one group in several hierarchies."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def add(self, name: str, files: dict[str, str]) -> Path:
        directory = self.base / name
        directory.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (directory / file).write_text(text)
        return directory

    def at(self, version: int, name: str) -> tuple[Hierarchy, str]:
        return Hierarchy(version, str(self.base), "/", ()), str(self.base / name)


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


@pytest.fixture
def v1_memory(groups: Groups) -> Meter:
    groups.add("memory", V1_MEMORY)
    return Meter({"memory": groups.at(1, "memory")})


def test_v2_tells_everything_in_one_directory(groups: Groups) -> None:
    files = V2_MEMORY | {"cpu.stat": V2_CPU_STAT, "pids.current": "3\n", "cpu.pressure": PRESSURE}
    groups.add("g", files)
    here = groups.at(2, "g")
    assert Meter(dict.fromkeys(("", "cpu", "memory", "pids"), here)).usage() == Usage(
        memory_current=MIB,
        memory_peak=2 * MIB,
        memory_max=64 * MIB,
        cpu_seconds=0.565442,
        nr_periods=30,
        nr_throttled=29,
        throttled_seconds=2.28,
        pids=3,
        pressure={"cpu": {"some": {"avg10": 1.5, "avg60": 0, "avg300": 0, "total": 7}}},
    )


def test_hybrid_takes_cpu_time_from_the_companion_and_throttling_from_v1(groups: Groups) -> None:
    groups.add("unified", {"cpu.stat": HYBRID_CPU_STAT})
    groups.add("cpu", {"cpu.stat": V1_CPU_STAT})
    groups.add("memory", V1_MEMORY)
    meter = Meter({"": groups.at(2, "unified"), "cpu": groups.at(1, "cpu"), "memory": groups.at(1, "memory")})
    usage = meter.usage()
    assert (usage.cpu_seconds, usage.nr_throttled, usage.throttled_seconds) == (0.565442, 29, 2.28)
    assert (usage.memory_current, usage.memory_peak, usage.memory_max) == (MIB, 2 * MIB, 64 * MIB)
    assert usage.pids is None and usage.pressure is None


def test_pure_v1_takes_cpu_time_from_cpuacct(groups: Groups) -> None:
    groups.add("cpuacct", {"cpuacct.usage": "565442649\n"})
    assert Meter({"cpuacct": groups.at(1, "cpuacct")}).usage().cpu_seconds == pytest.approx(0.565442649)


def test_what_the_kernel_does_not_tell_is_none(groups: Groups) -> None:
    groups.add("g", {"memory.max": "max\n", "memory.current": "0\n"})
    assert Meter({"": groups.at(2, "g"), "memory": groups.at(2, "g")}).usage() == Usage(memory_current=0)
    assert Meter({}).usage() == Usage()


def test_no_v1_limit_is_none(groups: Groups, v1_memory: Meter) -> None:
    groups.add("memory", {"memory.limit_in_bytes": "9223372036854771712\n"})
    assert v1_memory.memory() == (MIB, 2 * MIB, None)
    assert not v1_memory.at_v1_limit()


def test_v2_counts_kills_and_hits_here_and_below_or_only_here(groups: Groups) -> None:
    groups.add("g", V2_MEMORY)
    meter = Meter({"memory": groups.at(2, "g")})
    assert (meter.oom_kills(), meter.oom_hits(), meter.oom_hits(local=True)) == (1, 2, 0)
    assert not meter.at_v1_limit()


def test_before_linux_5_2_all_hits_count_as_local(groups: Groups) -> None:
    groups.add("g", V2_MEMORY).joinpath("memory.events.local").unlink()
    assert Meter({"memory": groups.at(2, "g")}).oom_hits(local=True) == 2


def test_v1_kills_in_groups_below_count_too(groups: Groups, v1_memory: Meter) -> None:
    assert (v1_memory.oom_kills(), v1_memory.oom_hits()) == (0, 0)
    for below in ("memory/a", "memory/a/b"):
        groups.add(below, {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"})
    assert v1_memory.oom_kills() == 2


@pytest.mark.parametrize(("peak", "hit"), [(64 * MIB, True), (63 * MIB, True), (63 * MIB - 1, False)])
def test_a_v1_peak_near_the_limit_means_that_it_was_hit(groups: Groups, v1_memory: Meter, peak: int, hit: bool) -> None:
    groups.add("memory", {"memory.max_usage_in_bytes": f"{peak}\n"})
    assert v1_memory.at_v1_limit() is hit


def test_a_kept_file_is_read_anew_each_time_and_opened_again_after_close(tmp_path: Path) -> None:
    file = tmp_path / "pids.current"
    kept = Kept(str(tmp_path))
    assert kept.read("pids.current") is None
    for text in ("1\n", "22\n"):
        file.write_text(text)
        assert kept.read("pids.current") == text
    kept.close()
    assert kept.read("pids.current") == "22\n"
    kept.close()


def test_a_quick_look_is_one_read_of_a_kept_file(groups: Groups) -> None:
    groups.add("unified", {"cpu.stat": HYBRID_CPU_STAT})
    groups.add("cpu", {"cpu.stat": V1_CPU_STAT})
    groups.add("memory", V1_MEMORY)
    meter = Meter({"": groups.at(2, "unified"), "cpu": groups.at(1, "cpu"), "memory": groups.at(1, "memory")})
    cpu, memory = meter.cpu_file(), meter.memory_file()
    assert cpu is not None and memory is not None
    for _ in range(2):
        assert cpu_seconds(os.pread(cpu.fd, FIRST_LINE, 0)) == 0.565442
        assert int(os.pread(memory.fd, FIRST_LINE, 0)) == MIB == meter.memory_current()
    assert meter.work() == Work(0.565442, 29)
    meter.close()
    assert cpu.fd == memory.fd == CLOSED, "its number may be another file's by now"


def test_a_quick_look_where_there_is_no_such_file_to_keep(groups: Groups) -> None:
    groups.add("cpuacct", {"cpuacct.usage": "2000000000\n"})
    meter = Meter({"cpuacct": groups.at(1, "cpuacct")})
    assert (meter.cpu_file(), meter.memory_file(), meter.work()) == (None, None, Work(2.0, None))
    meter = Meter({"": groups.at(2, "gone"), "memory": groups.at(2, "gone")})
    assert (meter.cpu_file(), meter.memory_file(), meter.work()) == (None, None, Work(None, None))
    assert cpu_seconds(b"user_usec 1\n") is None is cpu_seconds(b"")


def test_what_memory_is_made_of_is_told_in_v2_s_words(groups: Groups) -> None:
    groups.add("g", {"memory.stat": "anon 100\nfile 50\nkernel 7\nshmem 30\npgfault 9\n"})
    assert Meter({"memory": groups.at(2, "g")}).composition() == {"anon": 100, "file": 50, "shmem": 30, "kernel": 7}
    groups.add("m", {"memory.stat": "cache 1\nrss 2\ntotal_cache 50\ntotal_rss 100\ntotal_shmem 30\n"})
    assert Meter({"memory": groups.at(1, "m")}).composition() == {"anon": 100, "file": 50, "shmem": 30}
    assert Meter({"memory": groups.at(1, "gone")}).composition() == {} == Meter({}).composition()


def test_one_resources_pressure_is_read_alone(groups: Groups) -> None:
    groups.add("g", {"memory.pressure": PRESSURE})
    meter = Meter({"": groups.at(2, "g")})
    assert meter.pressure("memory") == {"some": {"avg10": 1.5, "avg60": 0, "avg300": 0, "total": 7}}
    assert meter.pressure("cpu") is None


def test_whose_kills_v1_counts(groups: Groups, v1_memory: Meter) -> None:
    assert v1_memory.counts_by_v1
    assert not Meter({"memory": groups.at(2, "g")}).counts_by_v1 and not Meter({}).counts_by_v1


def test_memory_adds_up_on_v2_and_on_v1_unless_its_groups_are_told_not_to(groups: Groups) -> None:
    v1 = groups.at(1, "memory")
    assert Meter({"memory": groups.at(2, "unified")}).adds_up and not Meter({}).adds_up
    for hierarchy, adds_up in (("0\n", False), ("1\n", True)):
        groups.add("memory", {"memory.use_hierarchy": hierarchy})
        assert Meter({"memory": v1}).adds_up is adds_up
