"""What is read for the laws, and above all what is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from circus_cg.arbiter import gauge
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.cgroup.usage import Usage, Work
from circus_cg.core.load import Sample
from circus_cg.core.slot import Phase, Slot
from circus_cg.spec import Limits, MemoryPolicy, ScalePolicy, WatcherSpec

SCALE = ScalePolicy(max=4, sample=2.0)
SLACK = gauge.IDLE * 2.0
LEAK = MemoryPolicy(restart_above=100)


class Group:
    """A worker's, or the watcher's."""

    def __init__(self) -> None:
        self.seconds: float | None = 1.0
        self.memory: int | None = 10
        self.together: int | None = 20
        self.looks = 0

    def work(self) -> Work:
        self.looks += 1
        return Work(self.seconds, None)

    def memory_current(self) -> int | None:
        self.looks += 1
        return self.memory

    def memory_together(self) -> int | None:
        return self.together

    def usage(self, pressure: bool = True) -> Usage:
        return Usage(cpu_seconds=self.seconds, memory_current=self.memory)

    def pressure(self, resource: str) -> dict[str, dict[str, float]]:
        self.looks += 1
        return {"full": {"avg10": 50.0}}


class Watcher:
    def __init__(self, limits: Limits) -> None:
        self.spec = WatcherSpec(name="w", cmd=("x",), numprocesses=2, limits=limits)
        self.group, self.own_load = Group(), dict[int, Any]()
        self.groups = {(1, 1): Group(), (2, 1): Group()}
        self.slots = {
            wid: Slot(wid=wid, wanted=True, phase=Phase.READY, generation=1, alive=True, pid=wid) for wid in (1, 2)
        }
        self.counters = gauge.Counters()

    def group_of(self, wid: int, generation: int) -> Group:
        return self.groups.setdefault((wid, generation), Group())

    def lives(self) -> dict[int, int]:
        return {wid: slot.generation for wid, slot in self.slots.items()}

    @property
    def looks(self) -> int:
        return sum(group.looks for group in self.groups.values())

    def sample(self) -> Sample:
        host = SimpleNamespace(totals=lambda now: None)
        return gauge.sample(cast(WatcherRunner, self), cast(gauge.Host, host), self.counters, SCALE, 0.0)

    def memories(self, policy: MemoryPolicy = LEAK) -> list[int | None]:
        return [one.current for one in gauge.memories(cast(WatcherRunner, self), policy)]


def test_workers_of_a_watcher_that_did_next_to_nothing_are_not_looked_at_again() -> None:
    watcher = Watcher(Limits())
    first = watcher.sample()
    assert watcher.looks == 2
    assert watcher.group.seconds is not None
    watcher.group.seconds += 0.9 * SLACK
    assert watcher.sample() == first and watcher.looks == 2
    watcher.group.seconds += 0.2 * SLACK
    watcher.sample()
    assert watcher.looks == 4, "little by little is no less"


def test_a_new_life_is_looked_at_all_the_same() -> None:
    watcher = Watcher(Limits())
    watcher.sample()
    watcher.slots[2] = Slot(wid=2, wanted=True, phase=Phase.READY, generation=2, alive=True, pid=9)
    watcher.group_of(2, 2).seconds = 0.5
    assert [worker.cpu_seconds for worker in watcher.sample().workers] == [1.0, 0.5]
    assert watcher.looks == 3


def test_a_worker_with_a_quota_of_its_own_is_always_looked_at() -> None:
    watcher = Watcher(Limits(cpu_max=0.5))
    watcher.sample()
    watcher.sample()
    assert watcher.looks == 4


def test_where_nobody_adds_up_and_after_a_counter_went_back_all_are_looked_at() -> None:
    watcher = Watcher(Limits())
    for seconds in (None, None, 1.0, 0.5):
        watcher.group.seconds = seconds
        watcher.sample()
    assert watcher.looks == 8


def test_a_counter_that_could_not_be_read_is_tried_again_however_bored_the_others_are() -> None:
    """Else it would count as fully busy, and nobody would be removed."""
    watcher = Watcher(Limits())
    watcher.groups[2, 1].seconds = None
    assert [worker.cpu_seconds for worker in watcher.sample().workers] == [1.0, None]
    watcher.groups[2, 1].seconds = 0.5
    assert [worker.cpu_seconds for worker in watcher.sample().workers] == [1.0, 0.5]


def test_memory_is_read_worker_by_worker_only_where_one_could_be_over_the_line() -> None:
    watcher = Watcher(Limits())
    watcher.group.together = 99
    assert watcher.memories() == [None, None] and watcher.looks == 0
    for together in (100, None):  # None: v1 before 5.11, where a group may not count those below it
        watcher.group.together = together
        assert watcher.memories() == [10, 10]


def test_the_pressure_is_read_only_where_one_could_be_at_its_memory_high() -> None:
    watcher = Watcher(Limits(memory_high=100))
    policy = MemoryPolicy(stalled_at=20.0)
    watcher.group.together = 94
    assert watcher.memories(policy) == [None, None] and watcher.looks == 0
    watcher.group.together = 95
    assert watcher.memories(policy) == [10, 10] and watcher.looks == 4
