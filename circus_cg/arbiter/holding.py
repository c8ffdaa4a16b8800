"""Restarts that the host can't bear yet: put off until the pressure is over, and told of once."""

from __future__ import annotations

from collections.abc import Callable

from circus_cg.arbiter.journal import Journal
from circus_cg.core.slot import Exit, Phase, Slot

AGAIN = 1.0  # seconds until it is asked again whether a worker may live


class Holding:
    def __init__(self, watcher: str, holds: Callable[[Exit], bool], journal: Journal) -> None:
        self._watcher, self._holds, self._journal = watcher, holds, journal
        self._told: set[int] = set()

    def keeps(self, slot: Slot) -> bool:
        """The time of its next life has come, and it must not begin."""
        if slot.phase is not Phase.BACKOFF or slot.last_exit is None or not self._holds(slot.last_exit):
            self._told.discard(slot.wid)
            return False
        if slot.wid not in self._told:
            self._told.add(slot.wid)
            inputs = {"last_exit": str(slot.last_exit)}
            text = "its restart waits until the host's memory pressure is over"
            self._journal.decide(self._watcher, slot.wid, "hold", text, inputs, cause=slot.cause)
        return True
