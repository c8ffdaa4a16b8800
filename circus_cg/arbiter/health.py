"""The health checks of one watcher's workers: a timer for each that is due, a task for each that is being asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from circus_cg.arbiter.probes import Probes
from circus_cg.core import events as ev
from circus_cg.core.health import Tally, judged
from circus_cg.core.readiness import unwell_by
from circus_cg.core.slot import Phase, Slot
from circus_cg.spec import HealthCheck

if TYPE_CHECKING:  # a runner has one of these
    from circus_cg.arbiter.journal import Journal
    from circus_cg.arbiter.runner import WatcherRunner

UNASKED = "not passed yet"

Task = Callable[[Coroutine[Any, Any, None]], object]


class Watch(msgspec.Struct):
    """Of one life that is ready."""

    generation: int
    tallies: dict[str, Tally]
    timers: dict[str, asyncio.TimerHandle] = {}
    wrong: dict[str, str] = {}  # what was wrong with the last bad answer

    def stop(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()


class Health:
    def __init__(self, probes: Probes, journal: Journal, spawn_task: Task, runner: WatcherRunner) -> None:
        self._runner, self._probes, self._journal, self._spawn_task = runner, probes, journal, spawn_task
        self._spec: tuple[HealthCheck, ...] = ()
        self.checks: dict[str, HealthCheck] = {}
        self._take_up()
        self._watches: dict[int, Watch] = {}
        self._loop = asyncio.get_running_loop()

    def follow(self, slot: Slot) -> None:
        """Whenever a slot is another. One that is ready and not frozen is asked."""
        watch = self._watches.get(slot.wid)
        asked = slot.phase is Phase.READY and not slot.frozen
        if watch is not None and watch.generation == slot.generation and asked:
            if not watch.timers:  # thawed
                self._begin(watch, slot)
            return
        if watch is not None:
            watch.stop()
            if watch.generation != slot.generation or slot.phase is not Phase.READY:
                del self._watches[slot.wid]
        if asked:
            failing = slot.readiness.unwell
            tallies = {name: Tally(failing=name in failing) for name in self.checks}
            watch = self._watches[slot.wid] = Watch(slot.generation, tallies)
            self._begin(watch, slot)

    def unwell(self, slot: Slot) -> dict[str, str]:
        """Readiness checks that it does not pass -> what was wrong with the last bad answer."""
        watch = self._watches.get(slot.wid)
        wrong = {} if watch is None else watch.wrong
        names = slot.readiness.unwell if slot.phase is Phase.READY else ()
        return {name: wrong.get(name, UNASKED) for name in names}

    def renew(self) -> None:
        """The watcher's spec is another. Checks that are no more say nothing more."""
        if self._runner.spec.health == self._spec:
            return
        self.close()
        self._take_up()
        for slot in list(self._runner.slots.values()):
            self.forgive(slot)
            self.follow(self._runner.slots[slot.wid])

    def forgive(self, slot: Slot) -> None:
        """Checks that it did not pass and that are no more."""
        still = unwell_by(self._runner.spec, slot)
        if slot.readiness.unwell != still:
            self._tell(slot, still, "")

    def close(self) -> None:
        for watch in self._watches.values():
            watch.stop()
        self._watches.clear()

    def _take_up(self) -> None:
        self._spec = self._runner.spec.health
        self.checks = {check.name: check for check in self._spec}

    def _begin(self, watch: Watch, slot: Slot) -> None:
        for check in self.checks.values():
            self._wait(watch, slot.wid, check, max(self._loop.time(), slot.since + check.start_period))

    def _wait(self, watch: Watch, wid: int, check: HealthCheck, when: float) -> None:
        watch.timers[check.name] = self._loop.call_at(when, self._due, watch, wid, check)

    def _due(self, watch: Watch, wid: int, check: HealthCheck) -> None:
        self._spawn_task(self._ask(watch, wid, check))

    async def _ask(self, watch: Watch, wid: int, check: HealthCheck) -> None:
        """An answer that comes when nobody waits for it any more counts for nothing."""
        timer = watch.timers.get(check.name)
        wrong = await self._probes.ask(self._runner, wid, check)
        slot = self._runner.slots[wid]
        if self._watches.get(wid) is not watch or watch.timers.get(check.name) is not timer:
            return
        self._wait(watch, wid, check, self._loop.time() + check.interval)
        if wrong is not None:
            watch.wrong[check.name] = wrong
        before = watch.tallies[check.name]
        after = watch.tallies[check.name] = judged(check, before, wrong is None)
        if check.kind == "readiness":
            failing = tuple(
                name for name, one in self.checks.items() if one.kind == "readiness" and watch.tallies[name].failing
            )
            if failing != slot.readiness.unwell:
                detail = "; ".join(watch.wrong.get(name, UNASKED) for name in failing)
                self._tell(slot, failing, detail)
        elif after.failing:
            number = self._journal.next_id()
            detail = f"check {check.name}: {wrong}"
            self._runner.deliver(wid, ev.End(number, slot.generation, "health", detail))

    def _tell(self, slot: Slot, failing: tuple[str, ...], detail: str) -> None:
        self._runner.deliver(slot.wid, ev.Checked(self._journal.next_id(), slot.generation, failing, detail))
