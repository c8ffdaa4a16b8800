"""What the laws look at: one watcher's counters as the kernel has them now, over kept descriptors.

The watcher's own group counts what all its workers do. So long as that says that none of them can have done anything
that matters, they are not looked at one by one: a bored watcher costs a few reads, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.cgroup.usage import Work
from circus_cg.core.load import STALL, OwnLoad, Sample, WorkerSample
from circus_cg.core.memory import WorkerMemory, least
from circus_cg.core.slot import Phase, Slot
from circus_cg.host.totals import Totals, totals
from circus_cg.spec import Limits, MemoryPolicy, ScalePolicy

FRESH = 0.2  # seconds for which what was read of the host is as good as new, for all watchers
IDLE = 0.005  # of what one worker can use: less than this, by all of them together, is nothing

Pressure = dict[str, dict[str, float]]
Life = tuple[int, int]  # wid, generation


class Host:
    """The host's totals, read once for all who ask at about the same time."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._totals: Totals | None = None

    def totals(self, now: float) -> Totals | None:
        if now - self._at > FRESH:
            self._totals, self._at = totals(), now
        return self._totals


class Counters:
    """The workers' CPU counters as they were last read, for as long as they are as good as new."""

    def __init__(self) -> None:
        self._together: float | None = None  # CPU seconds of the watcher, from before they were read
        self._works: dict[Life, Work] = {}

    def refresh(self, together: float | None, slack: float) -> None:
        """`slack`: CPU seconds that one may have used unseen. What all used since is an upper bound for each."""
        past = self._together
        if together is None or past is None or not past <= together < past + slack:
            self._together = together
            self._works = {}

    def work(self, runner: WatcherRunner, life: Life) -> Work:
        found = self._works.get(life)
        if found is None:
            found = runner.group_of(*life).work()
            if found.cpu_seconds is not None:
                self._works[life] = found
        return found


def sample(runner: WatcherRunner, host: Host, counters: Counters, policy: ScalePolicy, now: float) -> Sample:
    """A worker's own word that is too old no longer counts."""
    spec, group, fresh = runner.spec, runner.group, STALL * policy.sample
    words = {wid: told for wid, told in runner.own_load.items() if now - told.at <= fresh}
    usage, cpu, memory = group.usage(pressure=False), group.pressure("cpu"), group.pressure("memory")
    left = host.totals(now)
    # A quota of its own can hold a worker up that does next to nothing, and only its own counters say so.
    slack = 0.0 if spec.limits.cpu_max is not None else IDLE * policy.cpus * policy.sample
    counters.refresh(usage.cpu_seconds, slack)
    return Sample(
        at=now,
        workers=tuple(_workers(runner, counters, words)),
        worker_cpu_max=spec.limits.cpu_max,
        watcher_cpu_max=spec.watcher_limits.cpu_max,
        nr_periods=None if spec.watcher_limits.cpu_max is None else usage.nr_periods,
        nr_throttled=None if spec.watcher_limits.cpu_max is None else usage.nr_throttled,
        cpu_some=_avg10(cpu, "some"),
        memory_some=_avg10(memory, "some"),
        memory_full=_avg10(memory, "full"),
        memory_current=usage.memory_current,
        memory_limit=memory_limit(spec.watcher_limits),
        pids_current=usage.pids,
        pids_max=spec.watcher_limits.pids_max,
        last_oom=last_oom(runner.slots.values()),
        backlog=_backlog(runner, words),
        host_idle_seconds=None if left is None else left.idle_seconds,
        host_memory=None if left is None else left.memory,
    )


def memories(runner: WatcherRunner, policy: MemoryPolicy) -> tuple[WorkerMemory, ...]:
    """Every life of the watcher; the pressure only where a memory_high makes it matter.

    Nothing of them is read while all together use less than what would matter of one.
    """
    high, of = runner.spec.limits.memory_high, runner.group_of
    line, together = least(runner.spec.limits, policy), runner.group.memory_together()
    is_little = line is not None and together is not None and together < line
    found = []
    for slot in runner.slots.values():
        if slot.alive and slot.generation:
            if is_little:
                found.append(WorkerMemory(slot.wid, slot.generation, slot.phase))
                continue
            group = of(slot.wid, slot.generation)
            full = None if high is None else _avg10(group.pressure("memory"), "full")
            found.append(WorkerMemory(slot.wid, slot.generation, slot.phase, group.memory_current(), full, high))
    return tuple(found)


def room(runner: WatcherRunner, host: Host, now: float) -> int | None:
    """Bytes that one more worker could have; None: nobody knows of a bound."""
    left = host.totals(now)
    free = [] if left is None else [left.memory]
    limit, current = memory_limit(runner.spec.watcher_limits), runner.group.memory_current()
    if limit is not None and current is not None:
        free.append(limit - current)
    return min(free, default=None)


def memory_limit(limits: Limits) -> int | None:
    """From where on the kernel stops or slows down: the lower of both."""
    return min((one for one in (limits.memory_high, limits.memory_max) if one is not None), default=None)


def last_oom(slots: Iterable[Slot]) -> float | None:
    ends = (slot.last_exit for slot in slots if slot.last_exit is not None)
    return max((end.at for end in ends if end.reason in ("oom", "oom-host")), default=None)


def _workers(runner: WatcherRunner, counters: Counters, words: dict[int, OwnLoad]) -> Iterator[WorkerSample]:
    for slot in runner.slots.values():
        if not slot.wanted or slot.instead is not None:  # one more beside the count, until it takes another's place
            continue
        word = words.get(slot.wid) if words else None
        if word is not None and word.generation != slot.generation:
            word = None
        seconds = throttled = None
        if slot.alive and slot.pid is not None:
            seconds, throttled = counters.work(runner, (slot.wid, slot.generation))
        ready_at = slot.since if slot.phase is Phase.READY and not slot.readiness.unwell else None
        busy = None if word is None else word.busy
        yield WorkerSample(slot.wid, slot.generation, slot.phase, ready_at, seconds, throttled, busy)


def _backlog(runner: WatcherRunner, words: dict[int, OwnLoad]) -> int | None:
    """All that waits for any of its workers; None: nobody said anything."""
    if not words:
        return None
    lives = runner.lives()
    said = [word.backlog for wid, word in words.items() if lives.get(wid) == word.generation]
    return sum(one for one in said if one is not None) if any(one is not None for one in said) else None


def _avg10(told: Pressure | None, kind: str) -> float | None:
    return None if told is None else told.get(kind, {}).get("avg10")
