"""What the keeper is to remember of a watcher's slots: told at once, where something would be lost with us."""

from __future__ import annotations

import asyncio

from circus_cg.core import events as ev
from circus_cg.core.slot import Phase, Slot
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.messages import Key

STATUS_EVERY = 1.0  # seconds; a worker may tell its status as often as it likes


class Notes:
    def __init__(self, keeper: KeeperClient, watcher: str) -> None:
        self._keeper, self._watcher = keeper, watcher
        self._unsaid: dict[int, str] = {}
        self._due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def carried(self, wid: int) -> None:
        """A spawn carries the note itself."""
        self._unsaid.pop(wid, None)

    def acknowledge(self, wid: int, generation: int, note: str) -> None:
        """An exit, with what follows from it."""
        self._unsaid.pop(wid, None)
        self._keeper.ack(Key(self._watcher, wid, generation), note)

    def keep(self, event: ev.Event, before: Slot, after: Slot, note: str) -> None:
        """That a worker runs the keeper knows itself, so those notes wait for the end of the turn and go together."""
        match event:
            case ev.Exited() | ev.LaunchFailed():
                self.acknowledge(after.wid, event.generation, note)
            case ev.Spawned():
                self._wait(after.wid, note, 0.0)
            case ev.Told() if _is_talk(before, after):
                self._wait(after.wid, note, STATUS_EVERY)
            case _:
                self._unsaid.pop(after.wid, None)
                self._keeper.note([((self._watcher, after.wid), note)])

    def say(self) -> None:
        """What waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._unsaid:
            self._keeper.note([((self._watcher, wid), note) for wid, note in self._unsaid.items()])
            self._unsaid.clear()

    def close(self) -> None:
        if self._due is not None:
            self._due.cancel()

    def _wait(self, wid: int, note: str, seconds: float) -> None:
        self._unsaid[wid] = note
        when = self._loop.time() + seconds
        if self._due is None or self._due.when() > when:
            if self._due is not None:
                self._due.cancel()
            self._due = self._loop.call_at(when, self.say)


def is_heartbeat(before: Slot, after: Slot) -> bool:
    """Nothing but the time until which it counts as alive is another: the next arbiter gives it a whole period."""
    was, now = before.readiness, after.readiness
    return _is_talk(before, after) and (was.status, was.main_pid) == (now.status, now.main_pid)


def _is_talk(before: Slot, after: Slot) -> bool:
    """What it said decides nothing."""
    was, now = before.readiness, after.readiness
    same = (was.period, was.reloading, was.stopping) == (now.period, now.reloading, now.stopping)
    return same and before.phase is Phase.READY is after.phase
