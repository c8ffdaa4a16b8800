"""What is read for the laws, and above all what is not."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from circus_cg.arbiter import gauge
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.cgroup.usage import Meter, Usage
from circus_cg.core.load import IDLE, OwnLoad, Sample
from circus_cg.core.memory import WorkerMemory
from circus_cg.core.slot import Phase, Slot
from circus_cg.core.state import Exit
from circus_cg.spec import Limits, MemoryPolicy, ScalePolicy, WatcherSpec

SCALE = ScalePolicy(max=4, sample=2.0)
SLACK = IDLE * 2.0
LEAK = MemoryPolicy(restart_above=100)
BOTH = {"1.1", "2.1"}


class Group:
    """One life's: files of the test's own, read by what reads the kernel's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self.use(1.0)
        self.hold(10)
        (directory / "memory.pressure").write_text("full avg10=50.00 avg60=0.00 avg300=0.00 total=7\n")
        self.meter = self.opened()

    def opened(self) -> Meter:
        place = (Hierarchy(2, str(self._directory), "/", ("memory",)), str(self._directory))
        return Meter({"": place, "memory": place})

    def use(self, seconds: float | None) -> None:
        text = "" if seconds is None else f"usage_usec {round(seconds * 1e6)}\nuser_usec 0\n"
        (self._directory / "cpu.stat").write_text(text)

    def hold(self, memory: int) -> None:
        (self._directory / "memory.current").write_text(f"{memory}\n")


class All:
    """The watcher's group."""

    def __init__(self) -> None:
        self.seconds: float | None = 2.0
        self.together: int | None = 20

    def memory_together(self) -> int | None:
        return self.together

    def usage(self, pressure: bool = True) -> Usage:
        return Usage(cpu_seconds=self.seconds)

    def pressure(self, resource: str) -> None:
        """It says nothing here."""


class Watcher:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.spec = WatcherSpec(name="w", cmd=("x",), numprocesses=2)
        self.group, self.own_load = All(), dict[int, OwnLoad]()
        self.groups = {(wid, 1): Group(directory / f"{wid}.1") for wid in (1, 2)}
        self.slots = {
            wid: Slot(wid=wid, wanted=True, phase=Phase.READY, generation=1, alive=True, pid=wid) for wid in (1, 2)
        }
        host = SimpleNamespace(totals=lambda now: None)
        self._gauge = gauge.Gauge(cast(WatcherRunner, self), cast(gauge.Host, host))

    def limit(self, limits: Limits) -> None:
        """As a new configuration does."""
        self.spec = replace(self.spec, limits=limits)

    def begin(self, wid: int, generation: int) -> Group:
        self.groups[wid, generation] = Group(self._directory / f"{wid}.{generation}")
        self.slots[wid] = replace(self.slots[wid], generation=generation)
        return self.groups[wid, generation]

    def group_of(self, wid: int, generation: int) -> Group:
        return self.groups[wid, generation]

    def lives(self) -> dict[int, int]:
        return {wid: slot.generation for wid, slot in self.slots.items()}

    def sample(self, now: float = 0.0) -> Sample:
        return self._gauge.sample(SCALE, now)

    def seconds(self) -> list[float | None]:
        return [worker.cpu_seconds for worker in self.sample().workers]

    def memories(self, policy: MemoryPolicy = LEAK) -> tuple[WorkerMemory, ...]:
        return self._gauge.memories(policy)

    def current(self, policy: MemoryPolicy = LEAK) -> list[int | None]:
        return [one.current for one in self.memories(policy)]


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(tmp_path)


class Reads:
    """Which lives' files were read since it was last asked."""

    def __init__(self) -> None:
        self._lives: set[str] = set()
        self._pread = os.pread

    def __call__(self, fd: int, size: int, at: int) -> bytes:
        self._lives.add(Path(os.readlink(f"/proc/self/fd/{fd}")).parent.name)
        return self._pread(fd, size, at)

    def new(self) -> set[str]:
        lives, self._lives = self._lives, set()
        return lives


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads = Reads()
    monkeypatch.setattr(os, "pread", reads)
    return reads


def test_workers_of_a_watcher_that_did_next_to_nothing_are_not_looked_at_again(watcher: Watcher, reads: Reads) -> None:
    first = watcher.sample()
    assert reads.new() == BOTH
    assert watcher.group.seconds is not None
    watcher.group.seconds += 0.9 * SLACK
    assert watcher.sample() == first and not reads.new()
    watcher.group.seconds += 0.2 * SLACK
    watcher.sample()
    assert reads.new() == BOTH, "little by little is no less"


def test_what_the_kernel_tells_anew_is_seen(watcher: Watcher) -> None:
    watcher.group.seconds = None
    assert watcher.seconds() == [1.0, 1.0]
    watcher.groups[2, 1].use(1.5)
    assert watcher.seconds() == [1.0, 1.5]
    watcher.groups[1, 1].use(123456.789)
    assert watcher.seconds() == [123456.789, 1.5]


def test_a_new_life_is_looked_at_all_the_same(watcher: Watcher, reads: Reads) -> None:
    watcher.sample()
    reads.new()
    watcher.begin(2, 2).use(0.5)
    assert watcher.seconds() == [1.0, 0.5]
    assert reads.new() == {"2.2"}


def test_another_state_of_the_same_life_is_told_and_nothing_read_for_it(watcher: Watcher, reads: Reads) -> None:
    watcher.sample()
    reads.new()
    watcher.slots[2] = replace(watcher.slots[2], phase=Phase.STOPPING)
    found = watcher.sample().workers[1]
    assert (found.phase, found.ready_at, found.cpu_seconds) == (Phase.STOPPING, None, 1.0)
    assert not reads.new()


def test_a_slot_that_is_not_wanted_or_one_more_is_not_among_them(watcher: Watcher) -> None:
    watcher.slots[3] = replace(watcher.slots[2], wid=3, instead=1)
    watcher.groups[3, 1] = watcher.groups[2, 1]
    assert [worker.wid for worker in watcher.sample().workers] == [1, 2]
    watcher.slots[2] = replace(watcher.slots[2], wanted=False)
    assert [worker.wid for worker in watcher.sample().workers] == [1]
    assert [one.wid for one in watcher.memories()] == [1, 2, 3], "their memory counts all the same"


def test_a_slot_without_a_process_is_told_and_not_read(watcher: Watcher, reads: Reads) -> None:
    ended = Exit(code=None, signal=9, reason="oom", detail="", at=7.0, uptime=1.0)
    watcher.slots[2] = replace(watcher.slots[2], phase=Phase.BACKOFF, alive=False, pid=None, last_exit=ended)
    assert watcher.seconds() == [1.0, None] and reads.new() == {"1.1"}
    assert watcher.sample().last_oom == 7.0
    assert [one.wid for one in watcher.memories()] == [1]


def test_a_worker_with_a_quota_of_its_own_is_always_looked_at_with_its_throttling(
    watcher: Watcher, reads: Reads
) -> None:
    watcher.limit(Limits(cpu_max=0.5))
    for _ in range(2):
        watcher.sample()
        assert reads.new() == BOTH
    (watcher.groups[2, 1]._directory / "cpu.stat").write_text("usage_usec 1000000\nnr_throttled 3\n")
    assert [worker.nr_throttled for worker in watcher.sample().workers] == [None, 3]
    watcher.limit(Limits())
    watcher.sample()
    reads.new()
    assert [worker.nr_throttled for worker in watcher.sample().workers] == [None, None] and not reads.new()


def test_where_nobody_adds_up_and_after_a_counter_went_back_all_are_looked_at(watcher: Watcher, reads: Reads) -> None:
    for seconds in (None, None, 1.0, 0.5):
        watcher.group.seconds = seconds
        watcher.sample()
        assert reads.new() == BOTH


def test_a_counter_that_could_not_be_read_is_tried_again_however_bored_the_others_are(watcher: Watcher) -> None:
    """Else it would count as fully busy, and nobody would be removed."""
    watcher.groups[2, 1].use(None)
    assert watcher.seconds() == [1.0, None]
    watcher.groups[2, 1].use(0.5)
    assert watcher.seconds() == [1.0, 0.5]


def test_descriptors_that_were_closed_are_not_read_any_more(watcher: Watcher) -> None:
    """With new limits each group is opened anew; by then the old numbers may be other files'."""
    watcher.group.seconds, watcher.group.together = None, None
    watcher.sample(), watcher.memories()
    for group in watcher.groups.values():
        group.meter.close()
    others = [os.open("/proc/self/stat", os.O_RDONLY) for _ in range(4)]
    try:
        assert watcher.seconds() == [1.0, 1.0] and watcher.current() == [10, 10]
    finally:
        for fd in others:
            os.close(fd)


def test_a_workers_own_word_counts_while_it_is_new_and_of_this_life(watcher: Watcher) -> None:
    watcher.own_load = {1: OwnLoad(1, 0.0, 0.5, 3), 2: OwnLoad(7, 0.0, 0.9, 4)}
    said: list[Any] = []
    for now in (6.0, 6.1):
        sample = watcher.sample(now)
        said.append(([worker.busy for worker in sample.workers], sample.backlog))
    assert said == [([0.5, None], 3), ([None, None], None)]


def test_memory_is_read_worker_by_worker_only_where_one_could_be_over_the_line(watcher: Watcher, reads: Reads) -> None:
    watcher.group.together = 99
    assert watcher.current() == [None, None] and not reads.new()
    for together in (100, None):  # None: v1 before 5.11, where a group may not count those below it
        watcher.group.together = together
        assert watcher.current() == [10, 10] and reads.new() == BOTH
    watcher.groups[2, 1].hold(101)
    assert watcher.current() == [10, 101]
    watcher.group.together = 99
    assert watcher.current() == [None, None]


def test_the_pressure_is_read_only_where_one_could_be_at_its_memory_high(watcher: Watcher, reads: Reads) -> None:
    watcher.limit(Limits(memory_high=100))
    policy = MemoryPolicy(stalled_at=20.0)
    watcher.group.together = 94
    assert watcher.current(policy) == [None, None] and not reads.new()
    watcher.group.together = 95
    assert [(one.current, one.full, one.high) for one in watcher.memories(policy)] == [(10, 50.0, 100)] * 2
    assert reads.new() == BOTH
