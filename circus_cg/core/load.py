"""How busy a watcher's workers were: two readings of the kernel's counters -> one Load. Units: seconds, CPUs, bytes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy

STALL = 3.0  # samples: after a longer gap nothing is concluded
IDLE = 0.005  # of what one worker can use: less than this, by all of them together, is nothing
SATURATED = 0.97  # no worker is ever busy all the time
LOST = (Phase.BACKOFF, Phase.FAILED, Phase.DONE, Phase.IDLE)  # these slots hold no process


class OwnLoad(msgspec.Struct, frozen=True, gc=False):
    """What a worker said of its own load; None: not said."""

    generation: int
    at: float  # monotonic
    busy: float | None  # 0 to 1
    backlog: int | None  # requests that wait for it


class WorkerSample(msgspec.Struct, frozen=True, gc=False):
    """One wanted slot. None where nothing was told or could be read."""

    wid: int
    generation: int
    phase: Phase
    ready_at: float | None = None  # monotonic; None: it is not ready
    cpu_seconds: float | None = None  # used in this life
    nr_throttled: int | None = None  # periods, by a quota of its own
    busy: float | None = None  # what the application itself says: 0 to 1, 1 is all it can do


class Sample(msgspec.Struct, frozen=True):
    """A watcher and its host at one instant. Counters are as the kernel has them: the law takes the differences."""

    at: float  # monotonic, when it was read
    workers: tuple[WorkerSample, ...]  # the wanted slots
    worker_cpu_max: float | None = None  # CPUs; each worker's quota
    watcher_cpu_max: float | None = None  # their sum's
    nr_periods: int | None = None  # of the watcher's own quota
    nr_throttled: int | None = None
    cpu_some: float | None = None  # the watcher's cpu.pressure, percent, avg10
    memory_some: float | None = None
    memory_full: float | None = None
    memory_current: int | None = None  # the watcher's
    memory_limit: int | None = None  # the lower of its memory_high and memory_max
    pids_current: int | None = None
    pids_max: int | None = None
    last_oom: float | None = None  # when one of its workers was OOM-killed
    backlog: int | None = None  # requests that wait for any of its workers
    host_idle_seconds: float | None = None  # all CPUs' idle time since boot
    host_memory: int | None = None  # bytes that could be had without swapping


class Load(msgspec.Struct, frozen=True):
    """Between two samples: every input of a decision."""

    at: float
    seconds: float
    wanted: int  # slots
    measured: int  # workers that were ready all the time and past their warm-up
    warming: int  # starting, or ready too short a time
    unread: int  # ready, and their counters could not be read
    lost: int  # in backoff or failed
    flapping: int  # in backoff
    work: float  # in workers: how many fully busy ones would have done what the measured ones did
    useful: float  # in workers: so many of the measured ones the watcher's quota lets be busy at once
    saturation: float | None  # work / useful; None: nobody was measured
    worker_cpus: float  # what one worker can use
    quota_workers: float | None  # so many fully busy workers use up the watcher's quota
    throttled: float | None  # share of the watcher's periods
    worker_throttled: bool  # some worker ran into its own quota
    overrun: bool  # the application's own word: too many requests wait, or every worker is fully busy
    host_idle: float | None  # CPUs
    shares: dict[int, float]  # by wid: how busy each measured worker was
    sample: Sample

    @property
    def is_saturated(self) -> bool:
        """Their CPU no longer tells how much more there is to do."""
        return self.saturation is not None and self.saturation >= SATURATED

    @property
    def floor(self) -> float:
        """`saturation`, if those that are not known yet do nothing: what growth may believe."""
        there = self.measured + self.warming + self.unread
        return 0.0 if self.saturation is None else self.saturation * self.measured / there

    @property
    def ceiling(self) -> float:
        """`work`, if those that are not known yet are fully busy: what shrinking must believe."""
        return self.work + self.warming + self.unread


def is_as_good_as_new(policy: ScalePolicy, quota: float | None, past: float | None, together: float | None) -> bool:
    """The workers' counters need not be read again: all they used since (CPU seconds) bounds what any one of them did.

    `past`: what they had used together before they were last read. A `quota` of its own (CPUs) can hold a worker up
    that does next to nothing, and only its own counters say so.
    """
    if quota is not None or past is None or together is None:
        return False
    return past <= together < past + IDLE * policy.cpus * policy.sample


def between(policy: ScalePolicy, before: Sample, sample: Sample) -> Load:
    """What happened from `before` to `sample`, which is later."""
    seconds = sample.at - before.at
    cpus = _cpus(policy, sample)
    pasts = _pasts(before, sample)
    warming = unread = lost = flapping = 0
    shares: dict[int, float] = {}
    told, throttled = 0, False
    for worker, past in zip(sample.workers, pasts, strict=True):
        if worker.phase in LOST:
            lost += 1
            flapping += worker.phase is Phase.BACKOFF
            continue
        if worker.ready_at is None or worker.ready_at + policy.warmup > before.at:
            warming += 1
            continue
        share = _share(past, worker, cpus * seconds)
        if share is None:
            unread += 1
            continue
        shares[worker.wid] = share
        told += worker.busy is not None
        throttled = throttled or (past is not None and _rose(past.nr_throttled, worker.nr_throttled) > 0)
    measured, work = len(shares), sum(shares.values())
    quota = None if sample.watcher_cpu_max is None else sample.watcher_cpu_max / cpus
    useful = float(measured) if quota is None or told else min(measured, quota)
    overrun = policy.backlog is not None and (sample.backlog or 0) >= policy.backlog * max(1, measured)
    overrun = overrun or (told == measured > 0 and work >= measured)
    if overrun:
        work = useful = float(measured)
    periods = _rose(before.nr_periods, sample.nr_periods)
    idle = None
    if before.host_idle_seconds is not None and sample.host_idle_seconds is not None:
        idle = max(0.0, sample.host_idle_seconds - before.host_idle_seconds) / seconds
    return Load(
        at=sample.at,
        seconds=seconds,
        wanted=len(sample.workers),
        measured=measured,
        warming=warming,
        unread=unread,
        lost=lost,
        flapping=flapping,
        work=work,
        useful=useful,
        saturation=min(1.0, work / useful) if measured else None,
        worker_cpus=cpus,
        quota_workers=quota,
        throttled=_rose(before.nr_throttled, sample.nr_throttled) / periods if periods > 0 else None,
        worker_throttled=throttled,
        overrun=overrun,
        host_idle=idle,
        shares=shares,
        sample=sample,
    )


def leaving(load: Load, count: int) -> tuple[int, ...]:
    """Whom to stop, by wid: who is not ready, then the least busy, then the youngest."""

    def missed(worker: WorkerSample) -> tuple[bool, float, float, int]:
        if worker.ready_at is None or worker.phase is not Phase.READY:
            return False, 0.0, 0.0, -worker.wid
        return True, load.shares.get(worker.wid, 1.0), -worker.ready_at, -worker.wid

    return tuple(worker.wid for worker in sorted(load.sample.workers, key=missed)[:count])


def _pasts(before: Sample, sample: Sample) -> Sequence[WorkerSample | None]:
    """What each of the workers was like before; None: it is new. Mostly they are the same in the same order."""
    olds, news = before.workers, sample.workers
    if len(olds) == len(news) and all(map(_is_same_life, olds, news)):
        return olds
    known = {(worker.wid, worker.generation): worker for worker in olds}
    return [known.get((worker.wid, worker.generation)) for worker in news]


def _is_same_life(one: WorkerSample, other: WorkerSample) -> bool:
    return one.wid == other.wid and one.generation == other.generation


def _share(past: WorkerSample | None, worker: WorkerSample, could_use: float) -> float | None:
    """0 to 1: what the worker did of what it could (`could_use` CPU seconds), or what it says itself."""
    if worker.busy is not None:
        return min(1.0, max(0.0, worker.busy))
    if past is None or past.cpu_seconds is None or worker.cpu_seconds is None or worker.cpu_seconds < past.cpu_seconds:
        return None
    return min(1.0, (worker.cpu_seconds - past.cpu_seconds) / could_use)


def _cpus(policy: ScalePolicy, sample: Sample) -> float:
    """What one worker can use."""
    return policy.cpus if sample.worker_cpu_max is None else min(policy.cpus, sample.worker_cpu_max)


def _rose(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else after - before
