"""One loop that reads usage for all who listen; without a listener there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from circus_cg.arbiter.readings import infos_of, total_of
from circus_cg.host import clock

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

LEAST = 0.5  # seconds between two samples

Sample = dict[str, dict[str, Any]]  # by watcher: {"workers": by pid, "total"}


class Listener(msgspec.Struct, eq=False):
    wants: Callable[[str], bool]  # a watcher's name
    every: float  # seconds
    tell: Callable[[Sample], None]
    due: float = 0.0


class Sampler:
    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.rounds = 0

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)
        self._changed.set()
        if self._task is None:
            self._task = self._arbiter.spawn_task(self._run())

    def remove(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._changed.set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    async def _run(self) -> None:
        try:
            while self._listeners:
                now = clock.now()
                due = [one for one in self._listeners if one.due <= now]
                if due:
                    await self._look(due)
                for one in due:
                    one.due = now + max(LEAST, one.every)
                self._changed.clear()
                pause = min((one.due for one in self._listeners), default=0.0) - clock.now()
                if self._listeners and pause > 0:
                    try:
                        async with asyncio.timeout(pause):
                            await self._changed.wait()
                    except TimeoutError:
                        pass
        finally:
            self._task = None

    async def _look(self, due: list[Listener]) -> None:
        """Each watcher that somebody wants is read once, whoever wants it."""
        self.rounds += 1
        found: Sample = {}
        for name, runner in list(self._arbiter.runners.items()):
            if any(one.wants(name) for one in due):
                workers = await infos_of(self._arbiter, runner)
                found[name] = {"workers": workers, "total": total_of(self._arbiter, runner)}
        for one in due:
            one.tell({name: sample for name, sample in found.items() if one.wants(name)})
