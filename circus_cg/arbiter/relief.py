"""The host is short of memory: workers end one after the other by core.pressure, and restarts wait until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from circus_cg.arbiter.holding import Held
from circus_cg.core import events as ev
from circus_cg.core import pressure
from circus_cg.core.pressure import Candidate, HostMemory
from circus_cg.core.record import Record
from circus_cg.core.slot import Exit, Phase
from circus_cg.core.state import HELD
from circus_cg.host import clock, totals
from circus_cg.keeper.log import say
from circus_cg.spec import PressurePolicy

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner

EVERY, SOONEST = 2.0, 0.25  # seconds between two looks


class Relief:
    """Without a policy there is no timer, and nothing is held."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._state = pressure.State()
        self._timer: asyncio.TimerHandle | None = None
        self._held: dict[Held, None] = {}
        arbiter.journal.listeners.append(self._on_record)

    def adjust(self) -> None:
        """By the configuration as it is now. A restart that an earlier arbiter held is held on until it is calm."""
        self.close()
        if self._policy is None:
            self._state = pressure.State()
            self._release()
            return
        slots = [slot for runner in self._arbiter.runners.values() for slot in runner.slots.values()]
        ends = [slot.last_exit for slot in slots if slot.phase is Phase.BACKOFF and slot.last_exit is not None]
        if any(end.reason in HELD for end in ends):
            self._state = pressure.after_host_oom(self._state)
        self._look()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hold(self, end: Exit, again: Callable[[], None]) -> Held | None:
        """None: a worker that ended so may live; else `again` is called as soon as it may."""
        return Held(end, again, self._held) if self._keeps_down(end) else None

    def _keeps_down(self, end: Exit) -> bool:
        return self._policy is not None and not pressure.may_restart(self._state, end.reason, clock.now())

    def _release(self) -> None:
        for held in list(self._held):
            if held in self._held and not self._keeps_down(held.end):  # one that begins may have ended another's wait
                held.cancel()
                held.again()

    @property
    def _policy(self) -> PressurePolicy | None:
        return self._arbiter.boot.spec.pressure

    def _on_record(self, record: Record) -> None:
        if record.exit is not None and record.exit.reason == "oom-host" and self._policy is not None:
            self._state = pressure.after_host_oom(self._state)

    def _look(self) -> None:
        policy = self._policy
        if policy is None:
            return
        every = max(SOONEST, min(EVERY, policy.lasting / 2, policy.calm_after / 2))
        self._timer = asyncio.get_running_loop().call_later(every, self._look)
        self._see(policy)
        self._release()

    def _see(self, policy: PressurePolicy) -> None:
        full, now = totals.memory_full(), clock.now()
        if full is None:
            return  # who can't see holds nobody
        was_pressed = self._state.pressed
        self._state = pressure.seen(policy, self._state, HostMemory(now, full, totals.pages_scanned()))
        if was_pressed and not self._state.pressed:
            say("arbiter", "the host's memory pressure is over")
        if self._state.over is None or now - self._state.over < policy.lasting or self._arbiter.stopping:
            return
        candidates = tuple(map(_candidate, self._arbiter.runners.values()))
        self._state, end = pressure.relieve(policy, self._state, candidates, now)
        if end is None:
            return
        inputs = {
            "generation": end.generation,
            "full": full,
            "watchers": {one.watcher: [one.priority, one.current, one.memory_low] for one in candidates if one.workers},
        }
        cause = self._arbiter.journal.decide(end.watcher, end.wid, "relieve", end.reason, inputs)
        runner = self._arbiter.runners[end.watcher]
        runner.deliver(end.wid, ev.End(cause, end.generation, "pressure", end.reason))


def _candidate(runner: WatcherRunner) -> Candidate:
    there = [slot for slot in runner.slots.values() if slot.alive and slot.phase is Phase.READY]
    sizes = {slot.wid: runner.group_of(slot.wid, slot.generation).meter.memory_current() or 0 for slot in there}
    return Candidate(
        watcher=runner.spec.name,
        priority=runner.spec.priority,
        current=runner.group.memory_current() or 0,
        memory_low=runner.spec.watcher_limits.memory_low or 0,
        workers=tuple((slot.wid, slot.generation, sizes[slot.wid]) for slot in there),
    )
