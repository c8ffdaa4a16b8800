"""Long answers are made in slices, one slice of whoever's in a turn of the loop: no question waits for another one.

Without it as many slices would run between two looks at the sockets as there are long answers under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SLICE = 0.001  # seconds
IDLE = 0.010  # seconds since anybody's slice began: then this one begins now


class Pace:
    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: monotonic seconds."""
        self._now = now
        self._begun = 0.0  # the slice of this turn
        self._turn = asyncio.Lock()  # first come, first served

    async def rest(self) -> None:
        """To be called again and again: returns at once while the slice lasts, else in another turn of the loop."""
        used = self._now() - self._begun
        if used < SLICE:
            return
        if used < IDLE or self._turn.locked():
            async with self._turn:
                await asyncio.sleep(0)
        self._begun = self._now()
