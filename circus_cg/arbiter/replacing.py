"""Workers that are replaced by others of their watcher: core.replacement's moves, carried out."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, assert_never

from circus_cg.arbiter import because
from circus_cg.arbiter.journal import Journal
from circus_cg.cgroup.usage import Usage
from circus_cg.core import events as ev
from circus_cg.core import replacement
from circus_cg.core.replacement import Begin, Drop, InPlace, Queue, Take, Use, Wish
from circus_cg.core.state import Instead, Reason
from circus_cg.errors import CircusCgError
from circus_cg.host import clock
from circus_cg.keeper.log import say

if TYPE_CHECKING:  # a runner has one of these
    from circus_cg.arbiter.runner import WatcherRunner


class Replacing:
    def __init__(self, runner: WatcherRunner, journal: Journal) -> None:
        self._runner, self._journal = runner, journal
        self._queue = Queue()
        self._causes: dict[int, because.Cause] = {}  # by the worker that is to go
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self.is_active = False  # somebody waits, or is under way

    def ask(self, wid: int, generation: int, reason: Reason, detail: str) -> None:
        self._causes[wid] = because.current()
        self._queue = replacement.wish(self._queue, Wish(wid, generation, reason, detail))
        self.look_soon()

    def look_soon(self) -> None:
        """After this turn: what a move leads to is an event of the same watcher."""
        self.is_active = True
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._is_due = False
        self.close()
        runner = self._runner
        while True:
            room = self._lack_of_room() if self._queue.wishes else None
            self._queue, move = replacement.advance(runner.spec, runner.slots, self._queue, room, clock.now())
            if move is None:
                break
            self._carry_out(move)
        self.is_active = bool(self._queue) or replacement.newcomer(runner.slots) is not None
        if (due := replacement.due(runner.spec, runner.slots)) < inf:
            self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _carry_out(self, move: replacement.Move) -> None:
        """What comes of a move is because of it."""
        goes = move.wish.wid if isinstance(move, InPlace) else move.instead.wid
        with because.because(self._causes.get(goes)):
            own = self._tell(_said(move))
        if not isinstance(move, Begin):
            self._causes.pop(goes, None)
        with because.because(own):
            self._deliver(move)

    def _deliver(self, move: replacement.Move) -> None:
        deliver, new_id = self._runner.deliver, self._journal.next_id
        match move:
            case Begin(wid, instead):
                deliver(wid, ev.Start(new_id(), instead))
            case Take(wid, instead):
                # In this order: if this arbiter dies between two of them, the next one sees at least as many workers.
                deliver(wid, ev.Start(new_id()))
                deliver(instead.wid, ev.End(new_id(), instead.generation, instead.reason, instead.detail))
                deliver(instead.wid, ev.Stop(new_id()))
            case Drop(wid):
                deliver(wid, ev.Stop(new_id()))
            case InPlace(wish):
                deliver(wish.wid, ev.End(new_id(), wish.generation, wish.reason, wish.detail))
            case _:
                assert_never(move)

    def _lack_of_room(self) -> str | None:
        """Of who is next."""
        wish = self._queue.wishes[0]
        runner, limits = self._runner, self._runner.spec.watcher_limits
        if limits.memory_max is None and limits.pids_max is None:
            return None
        try:
            whole = runner.group.usage()
            one = runner.group_of(wish.wid, wish.generation).usage(pressure=False)
        except (CircusCgError, OSError) as gone:
            say("arbiter", f"cannot read what {runner.spec.name} uses: {gone}; taken as enough room")
            return None
        return replacement.lack_of_room(
            _use(whole)._replace(memory_max=limits.memory_max, pids_max=limits.pids_max), _use(one)
        )

    def _tell(self, detail: str) -> int:
        return self._journal.tell(self._runner.spec.name, "replace", detail)


def _said(move: replacement.Move) -> str:
    match move:
        case Begin(wid, instead):
            return f"worker {wid} begins beside {instead.wid}, which goes for {_why(instead)}"
        case Take(wid, instead):
            return f"worker {wid} is ready and takes the place of {instead.wid}"
        case Drop(wid, instead, why):
            return f"worker {wid} does not take the place of {instead.wid}: {why}"
        case InPlace(wish, why):
            return f"worker {wish.wid} ends before the next one begins: {why}"
        case _:
            assert_never(move)


def _use(usage: Usage) -> Use:
    return Use(memory_current=usage.memory_current, pids=usage.pids)


def _why(instead: Instead) -> str:
    return f"{instead.reason}: {instead.detail}" if instead.detail else instead.reason
