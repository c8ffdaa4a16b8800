"""What the laws look at: one watcher's counters as the kernel has them now, over kept descriptors.

The watcher's own group counts what all its workers do. So long as that says that none of them can have done anything
that matters, they are not looked at one by one: a bored watcher costs a few reads, whatever its size.
"""

from __future__ import annotations

from circus_cg.arbiter.looks import Looks
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.load import STALL, OwnLoad, Sample, is_as_good_as_new
from circus_cg.core.memory import WorkerMemory, least
from circus_cg.host.totals import Totals, totals
from circus_cg.spec import Limits, MemoryPolicy, ScalePolicy

FRESH = 0.2  # seconds for which what was read of the host is as good as new, for all watchers

Pressure = dict[str, dict[str, float]]


class Host:
    """The host's totals, read once for all who ask at about the same time."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._totals: Totals | None = None

    def totals(self, now: float) -> Totals | None:
        if now - self._at > FRESH:
            self._totals, self._at = totals(), now
        return self._totals


class Gauge:
    """One watcher's."""

    def __init__(self, runner: WatcherRunner, host: Host) -> None:
        self._runner, self._host = runner, host
        self._looks = Looks(runner)
        self._together: float | None = None  # CPU seconds of the watcher, from before the workers were last read

    def sample(self, policy: ScalePolicy, now: float) -> Sample:
        """A worker's own word that is too old no longer counts."""
        runner = self._runner
        spec, group, fresh = runner.spec, runner.group, STALL * policy.sample
        words = {wid: told for wid, told in runner.own_load.items() if now - told.at <= fresh}
        usage, cpu, memory = group.usage(pressure=False), group.pressure("cpu"), group.pressure("memory")
        left = self._host.totals(now)
        again = not is_as_good_as_new(policy, spec.limits.cpu_max, self._together, usage.cpu_seconds)
        if again:
            self._together = usage.cpu_seconds
        return Sample(
            at=now,
            workers=self._looks.work(again, words),
            worker_cpu_max=spec.limits.cpu_max,
            watcher_cpu_max=spec.watcher_limits.cpu_max,
            nr_periods=None if spec.watcher_limits.cpu_max is None else usage.nr_periods,
            nr_throttled=None if spec.watcher_limits.cpu_max is None else usage.nr_throttled,
            cpu_some=avg10(cpu, "some"),
            memory_some=avg10(memory, "some"),
            memory_full=avg10(memory, "full"),
            memory_current=usage.memory_current,
            memory_limit=memory_limit(spec.watcher_limits),
            pids_current=usage.pids,
            pids_max=spec.watcher_limits.pids_max,
            last_oom=self._looks.last_oom,
            backlog=_backlog(runner, words),
            host_idle_seconds=None if left is None else left.idle_seconds,
            host_memory=None if left is None else left.memory,
        )

    def memories(self, policy: MemoryPolicy) -> tuple[WorkerMemory, ...]:
        """Nothing of them is read while all together use less than what would matter of one."""
        line, together = least(self._runner.spec.limits, policy), self._runner.group.memory_together()
        return self._looks.memory(again=line is None or together is None or together >= line)

    def room(self, now: float) -> int | None:
        """Bytes that one more worker could have; None: nobody knows of a bound."""
        left = self._host.totals(now)
        free = [] if left is None else [left.memory]
        limit, current = memory_limit(self._runner.spec.watcher_limits), self._runner.group.memory_current()
        if limit is not None and current is not None:
            free.append(limit - current)
        return min(free, default=None)


def memory_limit(limits: Limits) -> int | None:
    """From where on the kernel stops or slows down: the lower of both."""
    return min((one for one in (limits.memory_high, limits.memory_max) if one is not None), default=None)


def _backlog(runner: WatcherRunner, words: dict[int, OwnLoad]) -> int | None:
    """All that waits for any of its workers; None: nobody said anything."""
    if not words:
        return None
    lives = runner.lives()
    said = [word.backlog for wid, word in words.items() if lives.get(wid) == word.generation]
    return sum(one for one in said if one is not None) if any(one is not None for one in said) else None


def avg10(told: Pressure | None, kind: str) -> float | None:
    return None if told is None else told.get(kind, {}).get("avg10")
