"""Pressure on the host ends the least important watcher's worker, holds its restart, and lets go when it is calm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.holding import Holding
from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.relief import Relief
from circus_cg.core.effects import Publish
from circus_cg.core.events import End
from circus_cg.core.slot import Exit, Phase, Slot
from circus_cg.host import totals
from circus_cg.spec import ArbiterSpec, PressurePolicy, WatcherSpec

AT_ONCE = PressurePolicy(full_at=50.0, lasting=0.0, calm_at=10.0, calm_after=0.0, pause=100.0)
KILLED = Exit(None, 9, "oom-host", "", 5.0, 0.0)


class Group:
    """What is read of a group."""

    def __init__(self, current: int) -> None:
        self._current = current

    @property
    def meter(self) -> Group:
        return self

    def memory_current(self) -> int:
        return self._current


class Runner:
    def __init__(self, name: str, priority: int, *sizes: int) -> None:
        self.spec = WatcherSpec(name=name, cmd=("x",), priority=priority)
        self.group = Group(sum(sizes))
        self.slots = {
            wid: Slot(wid=wid, wanted=True, phase=Phase.READY, generation=7, alive=True)
            for wid, _ in enumerate(sizes, 1)
        }
        self._sizes = sizes
        self.delivered: list[tuple[int, Any]] = []

    def group_of(self, wid: int, generation: int) -> Group:
        return Group(self._sizes[wid - 1])

    def deliver(self, wid: int, event: Any) -> None:
        self.delivered.append((wid, event))


@pytest.fixture
def say_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What the kernel tells from now on."""
    file = tmp_path / "memory"
    monkeypatch.setattr(totals, "PRESSURE", file)
    monkeypatch.setattr(totals, "VMSTAT", tmp_path / "none")
    return lambda full: cast(
        None, file.write_text(f"some avg10=99.00 total=1\nfull avg10={full:.2f} avg60=0.00 total=1\n")
    )


def world(policy: PressurePolicy | None, *runners: Runner) -> Any:
    boot = SimpleNamespace(spec=ArbiterSpec(pressure=policy))
    return SimpleNamespace(boot=boot, journal=Journal(), stopping=False, runners={r.spec.name: r for r in runners})


def looked(arbiter: Any, looks: int = 1) -> Relief:
    """A relief that has looked so often."""

    async def look() -> Relief:
        relief = Relief(cast(Arbiter, arbiter))
        for _ in range(looks):
            relief.adjust()
        relief.close()
        return relief

    return asyncio.run(look())


def test_the_largest_worker_of_the_least_important_watcher_is_ended_and_that_is_told(
    say_full: Callable[[float], None],
) -> None:
    say_full(80)
    batch, web = Runner("batch", 0, 10, 30), Runner("web", 5, 500)
    arbiter = world(AT_ONCE, web, batch)
    looked(arbiter, looks=3)
    ((wid, event),) = batch.delivered
    assert isinstance(event, End) and (wid, event.generation, event.reason) == (2, 7, "pressure")
    assert web.delivered == [], "and nobody else, for a pause"
    ((_, record),) = arbiter.journal.ring.read(arbiter.journal.ring.oldest, 10)
    assert (record.kind, record.verdict, record.watcher, record.wid, record.id) == (
        "decision",
        "relieve",
        "batch",
        2,
        event.id,
    )
    assert record.inputs == {"generation": 7, "full": 80.0, "watchers": {"web": [5, 500, 0], "batch": [0, 40, 0]}}


def test_without_pressure_or_without_a_policy_nobody_is_touched(say_full: Callable[[float], None]) -> None:
    for policy, full in ((AT_ONCE, 49.0), (None, 99.0)):
        say_full(full)
        runner = Runner("w", 0, 10)
        relief = looked(world(policy, runner), looks=2)
        assert runner.delivered == [] and not holds(relief)


def test_a_restart_after_the_kernel_killed_for_the_host_waits_until_it_is_calm(
    say_full: Callable[[float], None],
) -> None:
    say_full(30)
    arbiter = world(AT_ONCE, Runner("w", 0, 10))
    relief = looked(arbiter)
    arbiter.journal.publish("w", 1, Publish("exit", "", 0, 1, 2, KILLED))
    assert holds(relief)
    assert not holds(relief, Exit(3, None, "exited", "", 5.0, 0.0)), "who ended by itself is not held"
    holding, tries = Holding("w", relief.hold, arbiter.journal), list[str]()
    waiting = Slot(wid=1, wanted=True, phase=Phase.BACKOFF, last_exit=KILLED, cause=77)
    assert holding.keeps(waiting, lambda: tries.append("first"))
    stopped = holding.keeps(waiting, lambda: tries.append("stopped"))
    assert stopped is not None
    stopped.cancel()
    assert holding.keeps(waiting, lambda: tries.append("second"))
    told = [record for _, record in arbiter.journal.ring.read(arbiter.journal.ring.oldest, 10)]
    assert [(one.verdict, one.cause) for one in told if one.kind == "decision"] == [("hold", 77)], "once"
    say_full(3)
    looked_again = asyncio.run(_look(relief))
    assert not holds(looked_again) and not holding.keeps(waiting, lambda: None)
    assert tries == ["first", "second"], "once each, and nobody asked meanwhile"


def test_the_next_arbiter_goes_on_holding_what_it_finds_waiting(say_full: Callable[[float], None]) -> None:
    say_full(30)
    runner = Runner("w", 0, 10)
    runner.slots[1] = Slot(wid=1, wanted=True, phase=Phase.BACKOFF, last_exit=KILLED)
    assert holds(looked(world(AT_ONCE, runner)))


def test_without_a_policy_any_more_those_that_waited_may_live(say_full: Callable[[float], None]) -> None:
    say_full(30)
    runner = Runner("w", 0, 10)
    runner.slots[1] = Slot(wid=1, wanted=True, phase=Phase.BACKOFF, last_exit=KILLED)
    arbiter, tries = world(AT_ONCE, runner), list[str]()
    relief = looked(arbiter)
    assert relief.hold(KILLED, lambda: tries.append("again"))
    arbiter.boot.spec = ArbiterSpec()
    asyncio.run(_look(relief))
    assert tries == ["again"] and not holds(relief)


def test_who_cannot_see_the_pressure_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "PRESSURE", tmp_path / "none")
    runner = Runner("w", 0, 10)
    runner.slots[1] = Slot(wid=1, wanted=True, phase=Phase.BACKOFF, last_exit=KILLED)
    assert not holds(looked(world(AT_ONCE, runner)))


def holds(relief: Relief, end: Exit = KILLED) -> bool:
    held = relief.hold(end, lambda: None)
    if held is not None:
        held.cancel()
    return held is not None


async def _look(relief: Relief) -> Relief:
    for _ in range(2):
        relief.adjust()
    relief.close()
    return relief
