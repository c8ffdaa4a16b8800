"""One timer a slot: its deadline is told when it has come, or held back while the host can't bear its next life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from math import inf

from circus_cg.arbiter.holding import Held, Holding
from circus_cg.core.slot import Slot


class Deadlines:
    def __init__(self, slots: Mapping[int, Slot], holding: Holding, reached: Callable[[int], None]) -> None:
        """`slots`: as they are at any time. `reached` is called with the wid."""
        self._slots, self._holding, self._reached = slots, holding, reached
        self._timers: dict[int, asyncio.TimerHandle | Held] = {}
        self._loop = asyncio.get_running_loop()

    def follow(self, slot: Slot) -> None:
        """Whenever a slot is another."""
        timer = self._timers.pop(slot.wid, None)
        if timer is not None:
            timer.cancel()
        if slot.deadline < inf:
            self._timers[slot.wid] = self._loop.call_at(slot.deadline, self._on_time, slot.wid)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def _on_time(self, wid: int) -> None:
        self._timers.pop(wid, None)
        held = self._holding.keeps(self._slots[wid], partial(self._on_time, wid))
        if held is not None:
            self._timers[wid] = held
            return
        self._reached(wid)
