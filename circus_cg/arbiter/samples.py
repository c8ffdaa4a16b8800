"""CPU percent between two asks: the only memory that `stats` needs."""

from __future__ import annotations

from typing import NamedTuple

LEAST = 0.5  # seconds between two samples; what is asked sooner gets the last answer

Life = tuple[int, int]  # wid, generation; (0, 0) is the watcher's own


class Sample(NamedTuple):
    at: float  # monotonic
    cpu_seconds: float
    percent: float | None  # of one CPU


class Samples:
    def __init__(self) -> None:
        self._of: dict[str, dict[Life, Sample]] = {}

    def percent(
        self, watcher: str, life: Life, cpu_seconds: float | None, since: float | None, now: float
    ) -> float | None:
        """Of one CPU, since it was last asked for, or at first since `since` (monotonic; None: it can't be told)."""
        if cpu_seconds is None:
            return None
        known = self._of.setdefault(watcher, {})
        if since is None and life not in known:
            known[life] = Sample(now, cpu_seconds, None)
            return None
        since = now if since is None else since
        last = known.get(life, Sample(since, 0.0, 0.0))
        if now - last.at < LEAST and life in known:
            return last.percent
        spent = max(0.0, cpu_seconds - last.cpu_seconds)
        percent = 100.0 * spent / (now - last.at) if now > last.at else 0.0
        known[life] = Sample(now, cpu_seconds, percent)
        return percent

    def keep(self, watcher: str, lives: set[Life]) -> None:
        """Forget all others of this watcher."""
        known = self._of.get(watcher, {})
        for life in known.keys() - lives:
            del known[life]

    def forget(self, watcher: str) -> None:
        self._of.pop(watcher, None)
