"""Which worker's memory use asks for a new life of it: one at a time, the new one before the old wherever it fits."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec.structs import replace

from circus_cg.core.replacement import again
from circus_cg.core.state import Phase
from circus_cg.spec import Limits, MemoryPolicy, WatcherSpec

STALE = 10.0  # seconds
SOONEST = 0.25  # between two looks
NEAR = 0.95  # of memory_high: reclaim keeps the use a little below it


class WorkerMemory(msgspec.Struct, frozen=True, gc=False):
    """One worker's group as it was read. None: not told."""

    wid: int
    generation: int
    phase: Phase
    current: int | None = None  # bytes
    full: float | None = None  # its memory.pressure, percent, avg10
    high: int | None = None  # its own memory_high
    beside: bool = False  # one more than is wanted, until it takes the place of another


class Replace(msgspec.Struct, frozen=True):
    """Give the slot a new life. `new_first`: the old one serves until the new one is ready."""

    wid: int
    generation: int  # the life to be replaced
    new_first: bool
    rule: Literal["restart_above", "stalled"]
    reason: str


class Asked(msgspec.Struct, frozen=True):
    """For whose end, and when (monotonic)."""

    life: str  # "wid.generation"
    at: float
    new_first: bool


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Since when (monotonic) each life has been over a line without interruption; whose end was asked for."""

    above: dict[str, float] = {}  # "wid.generation"
    stalled: dict[str, float] = {}
    replacing: Asked | None = None
    at: float | None = None  # the last look


def decide(
    spec: WatcherSpec, state: State, workers: tuple[WorkerMemory, ...], room: int | None, now: float
) -> tuple[State, Replace | None]:
    """`workers`: every life of the wanted slots, a new one beside its old one too.

    `room`: bytes that are left for one more (None: no limit). Asks for nothing while another worker begins or ends: the
    watcher never loses more than one at once. Who stands still serves nobody, and waits for no successor. One that was
    asked for and is there still holds up the others for a while only: its successor may not have become ready.
    """
    policy = spec.memory_policy
    if state.at is not None and now - state.at > STALE:  # nobody looked: who knows what was between
        state = replace(state, above={}, stalled={})
    ready = [worker for worker in workers if worker.phase is Phase.READY]
    limit = policy.restart_above
    high = [] if limit is None else [w for w in ready if w.current is not None and w.current > limit]
    above = {_key(w): state.above.get(_key(w), now) for w in high}
    stalled = {_key(w): state.stalled.get(_key(w), now) for w in ready if w.full is not None and _is_stalled(policy, w)}
    replacing = _pending(state.replacing, workers, now - again(spec))
    state = State(above, stalled, replacing, now)
    if not above and not stalled:
        return state, None
    if (replacing is not None and not replacing.new_first) or any(map(_is_moving, workers)):
        return state, None
    if (worker := _largest(ready, stalled, now - policy.stalled_after)) is not None:
        return _asked(state, _stalled(worker, now - stalled[_key(worker)]), now)
    if replacing is not None or any(worker.beside for worker in workers):
        return state, None
    if (worker := _largest(ready, above, now - policy.restart_after)) is not None:
        return _asked(state, _above(policy, worker, room, now - above[_key(worker)]), now)
    return state, None


def applies(limits: Limits, policy: MemoryPolicy) -> bool:
    """There is something to look at."""
    return policy.restart_above is not None or (policy.stalled_at is not None and limits.memory_high is not None)


def least(limits: Limits, policy: MemoryPolicy) -> int | None:
    """Bytes; what uses less breaks no rule. None: there is none."""
    lines = [] if policy.restart_above is None else [policy.restart_above]
    if policy.stalled_at is not None and limits.memory_high is not None:
        lines.append(math.floor(NEAR * limits.memory_high))
    return min(lines, default=None)


def interval(policy: MemoryPolicy, most: float) -> float:
    """Seconds between two looks: each rule's time is looked at twice at least."""
    lasting = [policy.stalled_after] if policy.restart_above is None else [policy.stalled_after, policy.restart_after]
    return max(SOONEST, min(most, *(seconds / 2 for seconds in lasting)))


def lacks_pressure_rule(limits: Limits, policy: MemoryPolicy) -> bool:
    """memory_high alone neither ends a worker nor lets it go on (the kernel slows it down without end)."""
    return limits.memory_high is not None and policy.stalled_at is None


def _pending(asked: Asked | None, workers: tuple[WorkerMemory, ...], since: float) -> Asked | None:
    if asked is None or asked.at <= since or all(_key(worker) != asked.life for worker in workers):
        return None
    return asked


def _is_moving(worker: WorkerMemory) -> bool:
    """One of those that are wanted begins or ends."""
    return worker.phase in (Phase.STARTING, Phase.STOPPING) and not worker.beside


def _largest(ready: list[WorkerMemory], over: dict[str, float], since: float) -> WorkerMemory | None:
    """Of those that were over a line all the time since then."""
    due = [worker for worker in ready if over.get(_key(worker), math.inf) <= since]
    return max(due, key=_size, default=None)


def _is_stalled(policy: MemoryPolicy, worker: WorkerMemory) -> bool:
    """At its own memory_high: elsewhere the pressure is the host's, and a new life would change nothing."""
    if policy.stalled_at is None or worker.full is None or worker.high is None:
        return False
    return worker.full >= policy.stalled_at and _size(worker) >= NEAR * worker.high


def _stalled(worker: WorkerMemory, lasted: float) -> Replace:
    """It serves nobody any more, so there is nothing to wait for."""
    reason = f"waited for memory {worker.full:.0f} % of the time at memory_high {worker.high}, for {lasted:.0f} s"
    return Replace(worker.wid, worker.generation, False, "stalled", reason)


def _above(policy: MemoryPolicy, worker: WorkerMemory, room: int | None, lasted: float) -> Replace:
    reason = f"used {_size(worker)} bytes, more than restart_above {policy.restart_above}, for {lasted:.0f} s"
    fits = room is None or room >= _size(worker)
    return Replace(worker.wid, worker.generation, fits, "restart_above", reason)


def _asked(state: State, one: Replace, now: float) -> tuple[State, Replace]:
    return replace(state, replacing=Asked(_key(one), now, one.new_first)), one


def _key(worker: WorkerMemory | Replace) -> str:
    return f"{worker.wid}.{worker.generation}"


def _size(worker: WorkerMemory) -> int:
    return worker.current or 0
