"""Requests of one key: each in its turn, so many at a time, so much of them kept waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from circus_cg.core.rate import Rate, admit

RUNNING = 64  # commands at the same time: `wait` may take its time
WAITING = 4 << 20  # bytes of requests that wait for their turn

Start = Callable[[], "asyncio.Task[None] | None"]  # None: it is over already


class _Held(NamedTuple):
    size: int
    start: Start


class Turns:
    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._full_at = 0.0
        self._running = 0
        self._bytes = 0  # of those that wait, in either way
        self._timers: set[asyncio.TimerHandle] = set()
        self._held: deque[_Held] = deque()

    def ask(self, size: int, start: Start) -> bool:
        """Call `start` now or later; False: it is one too many, and is not kept. `size`: bytes."""
        if self._bytes + size > WAITING or len(self._held) > self._rate.queue:
            return False
        self._full_at, wait = admit(self._full_at, self._rate, self._loop.time())
        if wait is None:
            return False
        if wait == 0 and not self._held and self._running < RUNNING:
            self._run(start)
            return True
        self._bytes += size
        if wait == 0:
            self._due(_Held(size, start))
            return True

        def turn() -> None:
            self._timers.discard(timer)
            self._due(_Held(size, start))

        timer = self._loop.call_later(wait, turn)
        self._timers.add(timer)
        return True

    def close(self) -> None:
        """What waits is not begun any more."""
        for timer in self._timers:
            timer.cancel()
        self._held.clear()

    def _due(self, one: _Held) -> None:
        self._held.append(one)
        self._begin()

    def _begin(self) -> None:
        while self._held and self._running < RUNNING:
            size, start = self._held.popleft()
            self._bytes -= size
            self._run(start)

    def _run(self, start: Start) -> None:
        task = start()
        if task is not None:
            self._running += 1
            task.add_done_callback(self._over)

    def _over(self, _: asyncio.Task[None]) -> None:
        self._running -= 1
        self._begin()
