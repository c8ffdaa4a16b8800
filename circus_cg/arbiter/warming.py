"""warmup_delay within a watcher: when several workers are to begin, one after the other does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import inf

from circus_cg.core import watcher
from circus_cg.core.slot import Slot
from circus_cg.host import clock


class Warming:
    def __init__(self, again: Callable[[], None]) -> None:
        """`again` decides anew what is missing, and comes back with it."""
        self._again = again
        self._loop = asyncio.get_running_loop()
        self._next = -inf  # when another worker may begin
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Some workers are yet to begin."""
        return self._timer is not None

    def pace(self, delay: float, decided: watcher.Decisions, slots: Mapping[int, Slot]) -> watcher.Decisions:
        """What of `decided` is for now."""
        self.close()
        if delay <= 0:
            return decided
        now = clock.now()
        may = now >= self._next
        paced, more = watcher.paced(decided, slots, int(may))
        if may and len(paced) > len(watcher.paced(decided, slots, 0)[0]):
            self._next = now + delay
        if more:
            self._timer = self._loop.call_at(self._next, self._on_time)
        return paced

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        self._again()
