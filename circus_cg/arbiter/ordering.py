"""Which watcher may begin, and which must wait for others; who stops before whom; whose end is the daemon's.

What is held back is looked at again whenever a worker of any watcher has come or gone. Nothing polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core import order
from circus_cg.core.ending import patience
from circus_cg.core.order import Obstacle
from circus_cg.errors import HostError
from circus_cg.host import clock
from circus_cg.keeper.log import say
from circus_cg.spec import WatcherSpec

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

STUCK_LIMIT = 10.0  # seconds beyond its patience before others no longer wait for a watcher's end


class Ordering:
    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._next = -inf  # when another watcher may begin
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: set[str] = set()  # names of those that are held back, or were
        self._is_due = False
        self._ending = False  # with the watcher of exit_with

    # -- starts ----------------------------------------------------------------------------------

    def sequence(self, runners: Iterable[WatcherRunner]) -> list[WatcherRunner]:
        """In the order of their starts."""
        by_name = {runner.spec.name: runner for runner in runners}
        return [by_name[name] for name in order.sequence(runner.spec for runner in by_name.values())]

    def admit(self, runner: WatcherRunner) -> Obstacle | None:
        """None: it may begin, and does. Else why not yet; it is asked to take up again whenever it might."""
        why = self._obstacle(runner)
        if why is None:
            self._waiting.discard(runner.spec.name)
        else:
            self._waiting.add(runner.spec.name)
        return why

    def _obstacle(self, runner: WatcherRunner) -> Obstacle | None:
        spec, others = runner.spec, self._arbiter.runners
        if spec.after or spec.requires:
            standings = {name: _standing(others[name]) for name in order.before(spec) if name in others}
            if (why := order.obstacle(spec, standings)) is not None:
                return why
        delay = self._arbiter.boot.spec.warmup_delay
        if delay <= 0:
            return None
        now = clock.now()
        if now < self._next:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_at(self._next, self._on_time)
            return order.TURN
        self._next = now + delay
        return None

    def refuse(self, spec: WatcherSpec) -> None:
        """A watcher that is to be so beside the others, if it could never begin. Raises HostError."""
        others = {name: runner.spec for name, runner in self._arbiter.runners.items() if name != spec.name}
        if unknown := sorted(order.before(spec) - others.keys() - {spec.name}):
            raise HostError(f"cannot let {spec.name!r} wait for {unknown[0]!r}: there is no such watcher; add it first")
        if spec.name in (around := order.cycle([spec, *others.values()])):
            raise HostError(f"cannot let {spec.name!r} wait: none could begin first of {' -> '.join(around)}")

    def changed(self) -> None:
        """Somewhere a worker has come or gone."""
        if not self._is_due and (self._waiting or self._arbiter.boot.spec.exit_with is not None):
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_time(self) -> None:
        self._timer = None
        self._look()

    def _look(self) -> None:
        self._is_due = False
        if self._arbiter.stopping:
            return
        runners = self._arbiter.runners
        held = [runners[name] for name in self._waiting if name in runners and runners[name].held is not None]
        self._waiting = {runner.spec.name for runner in held}
        for runner in self.sequence(held):
            runner.take_up()
        last = runners.get(self._arbiter.boot.spec.exit_with or "")
        if last is not None and not self._ending:
            code = order.ended_for_good(last.wanted, last.numprocesses, last.slots.values())
            if code is not None:
                self._ending = True
                say("arbiter", f"{last.spec.name} has ended for good; the daemon stops, and exits with {code}")
                self._arbiter.terminate(code)

    # -- stops -----------------------------------------------------------------------------------

    async def stop(self, runners: Iterable[WatcherRunner]) -> list[WatcherRunner]:
        """Each once those are down that begin after it; returns who is not down when its time was over."""
        ranks = {runner.spec.name: rank for rank, runner in enumerate(self.sequence(runners))}
        chosen = {name: self._arbiter.runners[name] for name in reversed(ranks)}
        before = order.dependants(runner.spec for runner in chosen.values())
        # Of a cycle, which only `set` can make, some wait for nobody.
        waiting = {name: {one for one in before[name] if ranks.get(one, -1) > ranks[name]} for name in chosen}
        ends = {name: asyncio.Event() for name in chosen}
        stuck: list[WatcherRunner] = []

        async def end(name: str, runner: WatcherRunner) -> None:
            for other in waiting[name]:
                await ends[other].wait()
            try:
                if self._arbiter.stopping or not self._arbiter.intents.wanted(runner.spec):  # nobody changed his mind
                    runner.want(False, runner.numprocesses)
                    async with asyncio.timeout(patience(runner.spec) + STUCK_LIMIT):
                        await runner.settled(runner.is_down)
            except TimeoutError:
                stuck.append(runner)
            finally:
                ends[name].set()

        for name in [name for name in chosen if not waiting[name]]:  # at once, before anything else happens
            chosen[name].want(False, chosen[name].numprocesses)
        async with asyncio.TaskGroup() as tasks:
            for name, runner in chosen.items():
                tasks.create_task(end(name, runner))
        return stuck


def _standing(runner: WatcherRunner) -> order.Standing:
    if runner.held is not None:
        return order.Standing.COMING if runner.held.moving else order.Standing.AWAY
    return order.standing(runner.spec, runner.wanted, runner.numprocesses, runner.slots.values())
