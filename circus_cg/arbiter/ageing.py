"""One timer a watcher: when the next of its workers is old, it is replaced."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from circus_cg.core import ageing
from circus_cg.core.slot import Slot
from circus_cg.host import clock
from circus_cg.units import format_seconds

if TYPE_CHECKING:  # a runner has one of these
    from circus_cg.arbiter.runner import WatcherRunner


class Ageing:
    def __init__(self, runner: WatcherRunner) -> None:
        self._runner = runner
        self._asked: dict[ageing.Life, float] = {}  # when this arbiter asked for its replacement
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf

    def consider(self, slot: Slot) -> None:
        """It has become ready, or goes on."""
        self._wake_at(ageing.due(self._runner.spec, slot))

    def look(self) -> None:
        """The rule may be another now."""
        self._wake_at(-inf)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._at = None, inf

    def _wake_at(self, at: float) -> None:
        if at < self._at:
            self.close()
            self._at = at
            self._timer = asyncio.get_running_loop().call_at(at, self._look)

    def _look(self) -> None:
        self.close()
        runner, now = self._runner, clock.now()
        lives, following = ageing.old(runner.spec, runner.slots.values(), self._asked, now)
        self._asked = {life: at for life, at in self._asked.items() if runner.lives().get(life[0]) == life[1]}
        for wid, generation in lives:
            self._asked[wid, generation] = now
            runner.replace(wid, generation, "max-age", f"over {format_seconds(runner.spec.max_age)}")
        self._wake_at(following)
