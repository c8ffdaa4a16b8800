"""What each watcher uses over time: counters of its group, made rates between one look and the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from circus_cg.core.slot import Phase
from circus_cg.host import clock

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner
    from circus_cg.cgroup.usage import Usage

Life = tuple[int, int]  # wid, generation

LOOK_AGAIN = 60.0  # seconds until the configuration is asked again, while it wants no samples


class _Seen(NamedTuple):
    at: float  # monotonic
    cpu_seconds: float | None
    throttled: dict[Life, float]  # seconds; by the quota of each worker, and under (0, 0) by that of their sum


class UsageOverTime:
    """One look each `history.usage` seconds; `tell` gets a row a watcher, as store.Usage has them."""

    def __init__(self, arbiter: Arbiter, tell: Callable[[list[dict[str, Any]]], None]) -> None:
        self._arbiter, self._tell = arbiter, tell
        self._seen: dict[str, _Seen] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        every = self._arbiter.boot.spec.history.usage
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(every or LOOK_AGAIN, self._on_time, bool(every))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_time(self, wanted: bool) -> None:
        if wanted and not self._arbiter.stopping:
            self._arbiter.spawn_task(self._look())
        self.begin()

    async def _look(self) -> None:
        found = []
        runners = list(self._arbiter.runners.items())
        for name, runner in runners:
            await self._arbiter.pace.rest()
            if (row := self._row(name, runner)) is not None:
                found.append(row)
        for gone in self._seen.keys() - self._arbiter.runners.keys():
            del self._seen[gone]
        if found:
            self._tell(found)

    def _row(self, name: str, runner: WatcherRunner) -> dict[str, Any] | None:
        """None for a watcher at rest, and at the first look, which has nothing to compare with."""
        before = self._seen.pop(name, None)
        if not runner.busy:
            return None
        used = runner.group.usage()
        now = _Seen(clock.now(), used.cpu_seconds, _throttled(runner, used))
        self._seen[name] = now
        if before is None or now.at <= before.at:
            return None
        return {
            "watcher": name,
            "at": clock.wall(),
            "span": now.at - before.at,
            "workers": runner.phases[Phase.READY],
            "cpu": _rate(before.cpu_seconds, now.cpu_seconds, now.at - before.at),
            "throttled": _held_up(before.throttled, now.throttled) / (now.at - before.at) if now.throttled else None,
            "memory": used.memory_current,
            "memory_most": used.memory_current,
            "pids": used.pids,
            "cpu_pressure": _waited(used, "cpu", "some"),
            "memory_pressure": _waited(used, "memory", "full"),
        }


def _rate(before: float | None, now: float | None, span: float) -> float | None:
    """A counter that went back is another group's."""
    return None if before is None or now is None or now < before else (now - before) / span


def _throttled(runner: WatcherRunner, together: Usage) -> dict[Life, float]:
    """A group counts what its own quota held up, and nothing of those below; without a quota nothing is read."""
    found = {(0, 0): together.throttled_seconds}
    if runner.spec.limits.cpu_max is not None:
        for life in runner.lives().items():
            found[life] = runner.group_of(*life).usage(pressure=False).throttled_seconds
    return {life: seconds for life, seconds in found.items() if seconds is not None}


def _held_up(before: dict[Life, float], now: dict[Life, float]) -> float:
    return sum(max(0.0, seconds - before.get(life, 0.0)) for life, seconds in now.items())


def _waited(used: Usage, resource: str, who: str) -> float | None:
    return ((used.pressure or {}).get(resource) or {}).get(who, {}).get("avg60")
