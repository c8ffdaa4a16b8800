"""Who waits for a watcher to become what it is to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waiters:
    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, condition: Callable[[], bool]) -> asyncio.Future[None]:
        """Done once a look finds that `condition` holds."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, done))
        self.look()
        return done

    def look(self) -> None:
        if not self._waiting:
            return
        for waiter in list(self._waiting):
            condition, done = waiter
            if done.done() or condition():
                self._waiting.remove(waiter)
                if not done.done():
                    done.set_result(None)
