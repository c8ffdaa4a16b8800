"""What forbids more workers, each by its name and with how many it still allows. Nothing here forbids fewer."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator

from circus_cg.core.load import Load, Sample

THROTTLED = 0.05  # share of periods: a quota that stops the workers this often is what they lack
CPU_PRESSURE = 25.0  # percent, PSI some avg10: workers wait for a CPU
MEMORY_PRESSURE = 10.0
OOM_MEMORY = 60.0  # seconds for which an OOM kill is held against growth
WORTH = 0.5  # a worker is worth starting if it gets at least this share of what it could use


class Veto(enum.StrEnum):
    """Why the count is not another."""

    # Nothing can be said.
    NO_SAMPLE = "no-sample"  # none came
    STALLED = "stalled"  # too long since the last one: whoever reads was held up
    TOO_SOON = "too-soon"  # too short an interval to measure anything
    UNMEASURED = "unmeasured"  # no worker is ready and past its warm-up
    PINNED = "pinned"  # the operator gave a number
    # Nothing is called for, or not yet.
    DEAD_BAND = "dead-band"
    GROW_WINDOW = "grow-window"
    SHRINK_WINDOW = "shrink-window"
    AT_MAX = "at-max"
    AT_MIN = "at-min"
    # More are called for and would not help, or would do harm.
    IN_FLIGHT = "growth-in-flight"  # the last ones are not ready yet
    CRASH_LOOP = "crash-loop"
    RECENT_OOM = "recent-oom"
    PRESSURE = "pressure"  # memory pressure
    MEMORY = "memory"  # one more would not fit
    QUOTA_BOUND = "quota-bound"  # the watcher's own cpu_max is used up
    STARVED = "starved"  # the host has no CPU to give
    PIDS_MAX = "pids-max"


def room(load: Load, now: float) -> Iterator[tuple[Veto, int]]:
    """How many more workers each rule allows, for those rules that say something."""
    sample = load.sample
    if load.warming:
        yield Veto.IN_FLIGHT, 0
    if load.flapping:
        yield Veto.CRASH_LOOP, 0
    if sample.last_oom is not None and now - sample.last_oom < OOM_MEMORY:
        yield Veto.RECENT_OOM, 0
    if max(sample.memory_some or 0.0, sample.memory_full or 0.0) > MEMORY_PRESSURE:
        yield Veto.PRESSURE, 0
    yield from _memory(load)
    yield from _quota(load)
    yield from _host(load)
    living = load.wanted - load.lost
    if sample.pids_max is not None and sample.pids_current and living:
        yield Veto.PIDS_MAX, _fit(sample.pids_max - sample.pids_current, sample.pids_current / living)


def tightest(load: Load, now: float) -> tuple[Veto | None, int]:
    """The rule that allows least, and how many it allows; None: there is none."""
    return min(room(load, now), key=lambda one: one[1], default=(None, 0))


def _memory(load: Load) -> Iterator[tuple[Veto, int]]:
    """As large as the others are on average, one more must fit into the watcher's limit and into the host."""
    sample, living = load.sample, load.wanted - load.lost
    if not sample.memory_current or not living:
        return
    mean = sample.memory_current / living
    for free in _free(sample, sample.memory_current):
        yield Veto.MEMORY, _fit(free, mean)


def _free(sample: Sample, used: int) -> Iterator[int]:
    if sample.memory_limit is not None:
        yield sample.memory_limit - used
    if sample.host_memory is not None:
        yield sample.host_memory


def _quota(load: Load) -> Iterator[tuple[Veto, int]]:
    """A quota on the sum is no larger for more workers. (One on each worker comes with each, and forbids nothing.)"""
    if load.quota_workers is not None:
        yield Veto.QUOTA_BOUND, max(0, math.ceil(load.quota_workers) - (load.wanted - load.lost))
    if load.throttled is not None and load.throttled > THROTTLED:
        yield Veto.QUOTA_BOUND, 0


def _host(load: Load) -> Iterator[tuple[Veto, int]]:
    is_throttled = load.worker_throttled or (load.throttled or 0.0) > 0
    if not is_throttled and (load.sample.cpu_some or 0.0) > CPU_PRESSURE:  # waiting for a quota is pressure, too
        yield Veto.STARVED, 0
    if load.host_idle is not None:
        yield Veto.STARVED, math.floor(load.host_idle / load.worker_cpus + WORTH)


def _fit(free: float, size: float) -> int:
    return max(0, math.floor(free / size))
