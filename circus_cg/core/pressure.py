"""The host is short of memory: who ends, one worker after the other, and whose restart waits.

The rule is systemd-oomd's: pressure that lasts, reclaim at work, a pause after each kill.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from circus_cg.core.state import HELD
from circus_cg.spec import PressurePolicy

STALE = 10.0  # seconds: an older sample says nothing


class HostMemory(msgspec.Struct, frozen=True):
    """/proc/pressure/memory and /proc/vmstat at one instant."""

    at: float  # monotonic
    full: float  # percent, avg10
    pgscan: int | None = None  # pages that reclaim has looked at since boot; None: not told


class Candidate(msgspec.Struct, frozen=True):
    """A watcher with workers alive. Importance as in circus: the higher `priority`, the later it is touched."""

    watcher: str
    priority: int
    current: int  # bytes, all its workers
    memory_low: int  # bytes that the operator set aside for it
    workers: tuple[tuple[int, int, int], ...]  # wid, generation, bytes


class End(msgspec.Struct, frozen=True):
    """End this life; its restart waits until the pressure is over."""

    watcher: str
    wid: int
    generation: int
    reason: str


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times are monotonic; None: not so."""

    seen: HostMemory | None = None
    over: float | None = None  # since when above `full_at`
    scanned: float | None = None  # when reclaim was last seen at work
    pressed: bool = False  # from the first end until it is calm
    calm: float | None = None  # since when below `calm_at`
    ended: float | None = None  # the last end


def seen(policy: PressurePolicy, state: State, sample: HostMemory) -> State:
    """`sample` remembered."""
    last = state.seen if state.seen is not None and sample.at - state.seen.at <= STALE else None
    over = None if sample.full <= policy.full_at else sample.at if last is None or state.over is None else state.over
    calm = None if sample.full >= policy.calm_at else sample.at if last is None or state.calm is None else state.calm
    grew = last is not None and last.pgscan is not None and sample.pgscan is not None and sample.pgscan > last.pgscan
    is_over = calm is not None and sample.at - calm >= policy.calm_after
    return replace(
        state,
        seen=sample,
        over=over,
        calm=calm,
        scanned=sample.at if grew or sample.pgscan is None else state.scanned,
        pressed=state.pressed and not is_over,
    )


def relieve(
    policy: PressurePolicy, state: State, candidates: tuple[Candidate, ...], now: float
) -> tuple[State, End | None]:
    """The worker to end now, if one must: of the least important watcher the largest.

    A watcher within its memory_low comes last; of equal priority, the one furthest above it comes first.
    """
    if state.seen is None or now - state.seen.at > STALE or state.over is None or now - state.over < policy.lasting:
        return state, None
    if state.scanned is None or now - state.scanned > policy.lasting:  # pressure without reclaim: not for memory
        return state, None
    if state.ended is not None and now - state.ended < policy.pause:
        return state, None
    there = [one for one in candidates if one.workers]
    if not there:
        return state, None
    victim = min(there, key=_order)
    wid, generation, size = max(victim.workers, key=lambda worker: (worker[2], worker[0]))
    reason = (
        f"all waited for memory {state.seen.full:.0f} % of the time for {now - state.over:.0f} s; "
        f"{victim.watcher!r} has priority {victim.priority}, and this is its largest worker ({size} bytes)"
    )
    return replace(state, ended=now, pressed=True), End(victim.watcher, wid, generation, reason)


def after_host_oom(state: State) -> State:
    """The kernel was faster: a worker was OOM-killed because the host was short of memory."""
    return replace(state, pressed=True, calm=None)


def may_restart(state: State, reason: str, now: float) -> bool:
    """Whether a worker may live again. `reason`: of its last exit, as in core.state.Exit, and `pressure` for an End.

    Without news of the pressure nobody is held: who can't see must not keep a service down.
    """
    is_blind = state.seen is None or now - state.seen.at > STALE
    return reason not in HELD or is_blind or not state.pressed


def _order(one: Candidate) -> tuple[bool, int, int, str]:
    return one.current <= one.memory_low, one.priority, one.memory_low - one.current, one.watcher
