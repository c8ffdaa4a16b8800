"""Who has a governor, when it looks, and what it leaves to the next arbiter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.governor import Governors
from circus_cg.arbiter.intent import Intents
from circus_cg.arbiter.journal import Journal
from circus_cg.cgroup.usage import Usage, Work
from circus_cg.core import autoscale
from circus_cg.core.slot import Phase, Slot
from circus_cg.spec import Limits, MemoryPolicy, ScalePolicy, WatcherSpec

PLAIN = WatcherSpec(name="w", cmd=("x",), numprocesses=2)
SCALED = replace(PLAIN, autoscale=ScalePolicy(max=4))
LEAKING = replace(PLAIN, memory_policy=MemoryPolicy(restart_above=1 << 20))
SLOWED = replace(PLAIN, limits=Limits(memory_high=1 << 20))


class Group:
    """Counts who asks."""

    def __init__(self) -> None:
        self.looks = 0

    @property
    def meter(self) -> Group:
        return self

    def cpu_file(self) -> None:
        self.looks += 1

    def memory_file(self) -> None:
        self.looks += 1

    def work(self) -> Work:
        self.looks += 1
        return Work(1.0, None)

    def memory_current(self) -> int:
        self.looks += 1
        return 1

    def memory_together(self) -> int:
        return self.memory_current()

    def usage(self, pressure: bool = True) -> Usage:
        self.looks += 1
        return Usage(memory_current=1)

    def pressure(self, resource: str) -> None:
        self.looks += 1


class Runner:
    def __init__(self, spec: WatcherSpec) -> None:
        self.spec, self.wanted, self.numprocesses = spec, True, spec.numprocesses
        self.group, self.frozen = Group(), 0
        self.own_load: dict[int, Any] = {}
        self.slots = {
            wid: Slot(wid=wid, wanted=True, phase=Phase.READY, generation=1, alive=True, pid=wid)
            for wid in range(1, spec.numprocesses + 1)
        }

    def group_of(self, wid: int, generation: int) -> Group:
        return self.group

    def lives(self) -> dict[int, int]:
        return {wid: slot.generation for wid, slot in self.slots.items()}


def governed(runner: Runner, do: Callable[[Governors, Any], None]) -> Any:
    """`do` is called where timers can be; they are gone afterwards. Gives what stood for the arbiter."""
    arbiter = SimpleNamespace(intents=Intents(None, "here"), journal=Journal(), stopping=False)

    async def inner() -> None:
        governors = Governors(cast(Arbiter, arbiter))
        governors.adjust(cast(Any, runner))
        do(governors, arbiter)
        governors.close()

    asyncio.run(inner())
    return arbiter


def look(governors: Governors) -> None:
    """What its timer does."""
    governors._of["w"]._look()


@pytest.mark.parametrize(("spec", "has_one"), [(PLAIN, False), (SCALED, True), (LEAKING, True), (SLOWED, True)])
def test_only_a_watcher_with_something_to_look_at_has_one(spec: WatcherSpec, has_one: bool) -> None:
    runner = Runner(spec)
    governed(runner, lambda governors, _: _same("w" in governors, has_one))
    assert runner.group.looks == 0, "and nothing is looked at before its time"


def _same(one: object, other: object) -> None:
    assert one == other


def test_it_comes_and_goes_with_the_policy() -> None:
    runner = Runner(PLAIN)

    def change(governors: Governors, _: Any) -> None:
        for spec, has_one in ((SCALED, True), (LEAKING, True), (PLAIN, False)):
            runner.spec = spec
            governors.adjust(cast(Any, runner))
            assert ("w" in governors) is has_one

    governed(runner, change)


def test_a_stopped_watcher_and_one_with_a_frozen_worker_are_not_looked_at() -> None:
    stopped, frozen, working = Runner(SCALED), Runner(SCALED), Runner(SCALED)
    stopped.wanted = False
    frozen.frozen = 1
    for runner in (stopped, frozen, working):
        governed(runner, lambda governors, _: look(governors))
    assert (stopped.group.looks, frozen.group.looks) == (0, 0) and working.group.looks > 0


def test_nothing_is_decided_while_some_workers_have_not_begun() -> None:
    """They wait for another watcher, or for their turn: there are fewer, and nobody wanted fewer."""
    runner = Runner(SCALED)
    runner.numprocesses = 3

    def see(governors: Governors, _: Any) -> None:
        look(governors)
        shown = governors.shown("w")
        assert shown is not None and (shown["numprocesses"], shown["verdict"]) == (3, None)

    governed(runner, see)


def test_an_operators_number_is_kept_for_the_next_arbiter_and_told() -> None:
    runner = Runner(SCALED)

    def speak(governors: Governors, _: Any) -> None:
        runner.numprocesses = 9
        governors.pin("w")
        shown = governors.shown("w")
        assert shown is not None and shown["pinned"] > 299

    arbiter = governed(runner, speak)
    kept = arbiter.intents.of("w").scaling
    assert kept.count is None and kept.state.pinned_until > 0
    ((_, record),) = arbiter.journal.ring.read(arbiter.journal.ring.oldest, 5)
    assert (record.kind, record.verdict, record.inputs["wanted"]) == ("decision", "hold", 9)


def test_who_has_no_policy_is_pinned_by_nobody() -> None:
    arbiter = governed(Runner(PLAIN), lambda governors, _: governors.pin("w"))
    assert arbiter.intents.of("w").scaling is None


def test_a_number_that_is_the_configurations_again_is_left_to_the_law() -> None:
    def speak(governors: Governors, arbiter: Any) -> None:
        governors.pin("w")
        governors.unpin("w")
        shown = governors.shown("w")
        assert shown is not None and shown["pinned"] is None
        governors.unpin("nobody's")

    kept = governed(Runner(SCALED), speak).intents.of("w").scaling
    assert (kept.count, kept.state.pinned_until) == (None, None)
    assert governed(Runner(LEAKING), lambda governors, _: governors.unpin("w")).intents.of("w").scaling is None


def test_a_policy_that_goes_takes_its_number_and_its_memory_with_it() -> None:
    """Whatever took it, and with or without a governor that is left: the next policy begins by the number of then."""
    for without in (PLAIN, LEAKING):
        runner = Runner(SCALED)

        def go(governors: Governors, arbiter: Any, runner: Runner = runner, without: WatcherSpec = without) -> None:
            arbiter.intents.scale("w", 8, autoscale.State(peaks=(autoscale.Work(5.0, 1.5),), pinned_until=9.0))
            governors.adjust(cast(Any, runner))
            assert arbiter.intents.numprocesses(SCALED) == 8, "another look at the policy leaves it"
            runner.spec = without
            governors.adjust(cast(Any, runner))
            arbiter.intents.count("w", 3)

        intents = governed(runner, go).intents
        assert intents.of("w").scaling is None and intents.numprocesses(SCALED) == 3


def test_nothing_is_kept_of_who_never_had_a_policy(tmp_path: Path) -> None:
    intents = Intents(tmp_path / "intent.json", "here")
    intents.unscale("w")
    assert not list(tmp_path.iterdir())
