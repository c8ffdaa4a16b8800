"""Restarts that the host can't bear yet: put off until the pressure is over, and told of once."""

from __future__ import annotations

from collections.abc import Callable

from circus_cg.arbiter.journal import Journal
from circus_cg.core.slot import Exit, Phase, Slot


class Held:
    """A restart that waits. `cancel` is that of a timer: it does not wait any more."""

    def __init__(self, end: Exit, again: Callable[[], None], among: dict[Held, None]) -> None:
        """`again` is called when a worker that ended so may live again. `among`: those that wait, in their order."""
        self.end, self.again, self._among = end, again, among
        among[self] = None

    def cancel(self) -> None:
        self._among.pop(self, None)


Hold = Callable[[Exit, Callable[[], None]], Held | None]  # None: it may live now


class Holding:
    def __init__(self, watcher: str, hold: Hold, journal: Journal) -> None:
        self._watcher, self._hold, self._journal = watcher, hold, journal
        self._told: set[int] = set()

    def keeps(self, slot: Slot, again: Callable[[], None]) -> Held | None:
        """The time of its next life has come. None: it begins; else `again` is called when it may be tried."""
        held = None
        if slot.phase is Phase.BACKOFF and slot.last_exit is not None:
            held = self._hold(slot.last_exit, again)
        if held is None:
            self._told.discard(slot.wid)
        elif slot.wid not in self._told:
            self._told.add(slot.wid)
            inputs = {"last_exit": str(slot.last_exit)}
            text = "its restart waits until the host's memory pressure is over"
            self._journal.decide(self._watcher, slot.wid, "hold", text, inputs, cause=slot.cause)
        return held
