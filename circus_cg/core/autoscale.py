"""How many workers a watcher should have, and why. See docs/explanation/scaling.md for the law and its reasons.

Circus's users put it so: add workers if all workers are 100 % busy for n seconds; remove workers if they are bored.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from circus_cg.core.load import STALL, Load, Sample, between, leaving
from circus_cg.core.room import Veto, tightest
from circus_cg.spec import ScalePolicy, WatcherSpec

BUSY_WINDOWS = 2.0  # workers that are busy, but not saturated, are no emergency: grow windows until they call for more
BEFORE = 1.5  # samples: two intervals are looked at, however short the grow window is
SHORT = 0.25  # of a sample: a shorter interval measures nothing
FLAP = 5.0  # shrink windows: growth so soon after a shrink means the shrink was a mistake
QUIET = 20.0  # shrink windows without such a mistake halve the penalty
MOST_PENALTY = 2  # more patience than this kept idle workers for longer than it spared changes (measured)
ROUNDING = 1e-9
MEMORY_STALL, MEMORY_STALL_LASTS = 20.0, 10.0  # percent (PSI full avg10), seconds: then one worker less


class Verdict(enum.StrEnum):
    GROW = "grow"
    SHRINK = "shrink"
    HOLD = "hold"


class Busy(msgspec.Struct, frozen=True, array_like=True):
    """One interval in which the workers were busy enough to want `wanted` of them."""

    since: float
    wanted: int
    saturated: bool  # nobody had time left: what waits grows, and nobody knows how much it is


class Work(msgspec.Struct, frozen=True, array_like=True):
    at: float
    work: float  # in workers


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered from one decision to the next. Times are monotonic; None: never."""

    last: Sample | None = None
    busy: tuple[Busy, ...] = ()  # intervals in a row, of the last two grow windows
    recent: tuple[Work, ...] = ()  # intervals of the grow window, whatever there was to do
    peaks: tuple[Work, ...] = ()  # of the shrink window: falling, each the highest since the one before
    watched: float | None = None  # since when without a gap
    changed: float | None = None  # the count, by whomever
    shrunk: float | None = None  # by us, and no growth since
    flapped: float | None = None
    penalty: int = 1  # times the shrink window
    too_few: bool = False  # we grew, and the workers have not been less than busy since
    memory_stalled: float | None = None  # since when
    pinned_until: float | None = None


class Decision(msgspec.Struct, frozen=True):
    """`wanted` is the number to have from now on. In a dry run it is what there is, and `proposed` what would be.

    `veto` with `hold`: why not another number; with `grow`: what kept it from more. `leaving`: whom to stop, by wid.
    """

    wanted: int | None  # None: nothing was seen, so whatever there is
    verdict: Verdict
    reason: str
    veto: Veto | None = None
    proposed: int | None = None
    leaving: tuple[int, ...] = ()
    load: Load | None = None  # the inputs
    peak: float | None = None  # work at the shrink window's busiest, in workers
    shrink_window: float | None = None  # seconds, with its penalty
    dry_run: bool = False


def decide(policy: ScalePolicy, state: State, samples: Iterable[Sample], now: float) -> tuple[State, Decision]:
    """`samples`: those that came since the last call, oldest first; none is no catastrophe."""
    load, gap, there = None, Veto.NO_SAMPLE, None
    for sample in samples:
        there = len(sample.workers)
        state, seen, gap = _seen(policy, state, sample)
        load = load if gap is Veto.TOO_SOON else seen
    if load is None or now - load.at > STALL * policy.sample:
        veto = gap if load is None else Veto.STALLED
        return state, Decision(there, Verdict.HOLD, _GAPS[veto], veto, there, dry_run=policy.dry_run)
    if state.flapped is not None and now - state.flapped > QUIET * policy.shrink_window:
        state = replace(state, penalty=max(1, state.penalty // 2), flapped=now if state.penalty > 2 else None)
    return _concluded(policy, state, load, _proposal(policy, state, load, now), now)


def pin(policy: ScalePolicy, state: State, now: float) -> State:
    """The operator gave a number: it stays for `hold` seconds, whatever the load, the policy or a reload says."""
    return replace(state, pinned_until=now + policy.hold, changed=now, shrunk=None, busy=())


def unpin(state: State) -> State:
    return replace(state, pinned_until=None)


def first_count(spec: WatcherSpec) -> int:
    """How many workers a watcher begins with."""
    policy = spec.autoscale
    return spec.numprocesses if policy is None else max(policy.min, min(policy.max, spec.numprocesses))


def lasting(state: State) -> State:
    """What is worth keeping beyond the arbiter's life: without the last sample, which the next one is too late for."""
    return replace(state, last=None, busy=(), recent=())


# -- remembering -----------------------------------------------------------------------------------


def _seen(policy: ScalePolicy, state: State, sample: Sample) -> tuple[State, Load | None, Veto]:
    """`sample` remembered, and the load since the last one; None where that is nothing to conclude from."""
    last = state.last
    if last is not None and sample.at - last.at < SHORT * policy.sample:
        return state, None, Veto.TOO_SOON
    if last is None or sample.at - last.at > STALL * policy.sample:
        gap = Veto.NO_SAMPLE if last is None else Veto.STALLED
        return replace(state, last=sample, busy=(), recent=(), watched=sample.at, memory_stalled=None), None, gap
    load = between(policy, last, sample)
    recent = (*(one for one in state.recent if one.at > load.at - policy.grow_window), Work(load.at, load.ceiling))
    # What lasts no whole grow window would call for nobody, so it keeps nobody.
    work = min(one.work for one in recent)
    begin = load.at - policy.shrink_window * state.penalty
    peaks = (*(peak for peak in state.peaks if peak.at > begin and peak.work > work), Work(load.at, work))
    wanted = _more(policy, load, state.too_few)
    busy: tuple[Busy, ...] = ()
    if wanted is not None:
        begin = last.at - max(BUSY_WINDOWS * policy.grow_window, BEFORE * policy.sample)
        kept = (one for one in state.busy if one.since > begin)
        busy = (*kept, Busy(last.at, wanted, load.is_saturated))
    is_stalled = (sample.memory_full or 0.0) > MEMORY_STALL
    return (
        replace(
            state,
            last=sample,
            busy=busy,
            recent=recent,
            peaks=peaks,
            too_few=state.too_few and (wanted is not None or load.warming > 0),
            watched=last.at if state.watched is None else state.watched,
            memory_stalled=(state.memory_stalled or sample.at) if is_stalled else None,
        ),
        load,
        Veto.NO_SAMPLE,
    )


def _more(policy: ScalePolicy, load: Load, too_few: bool) -> int | None:
    """How many workers this interval alone calls for, if it calls for more.

    Saturated workers only tell that they are too few: first as many are added as if that were all there is to do, and
    if those are saturated at once (`too_few`), as many again.
    """
    if load.saturation is None or load.floor < policy.grow_at:
        return None
    living = load.wanted - load.lost
    if load.is_saturated and too_few:
        return load.lost + 2 * living
    return load.lost + math.ceil(living * load.saturation / policy.target)


# -- judging ---------------------------------------------------------------------------------------


class _Proposal(msgspec.Struct, frozen=True):
    wanted: int
    reason: str
    veto: Veto | None = None
    by_load: bool = False  # by the workers' load, so that it can have been a mistake


def _proposal(policy: ScalePolicy, state: State, load: Load, now: float) -> _Proposal:
    there = load.wanted
    if state.pinned_until is not None and now < state.pinned_until:
        return _Proposal(there, f"the operator's number stays for {state.pinned_until - now:.0f} s more", Veto.PINNED)
    if there < policy.min:
        return _Proposal(policy.min, f"{there} are fewer than min {policy.min}")
    if there > policy.max:
        return _Proposal(policy.max, f"{there} are more than max {policy.max}")
    if state.memory_stalled is not None and now - state.memory_stalled >= MEMORY_STALL_LASTS and there > policy.min:
        return _Proposal(there - 1, f"the workers wait for memory {load.sample.memory_full:.0f} % of the time")
    if state.busy:
        return _growth(policy, state, load, now)
    return _shrinking(policy, state, load, now)


def _growth(policy: ScalePolicy, state: State, load: Load, now: float) -> _Proposal:
    there = load.wanted
    busy = _busy(load)
    if there >= policy.max:
        return _Proposal(there, f"{busy}; max is {policy.max}", Veto.AT_MAX)
    window, run = _grow_window(policy, state, load)
    lasted = load.at - run[0].since
    is_over = lasted >= window - SHORT * policy.sample and len(run) > 1
    if not is_over and not load.overrun:
        return _Proposal(there, f"{busy}, for {lasted:.0f} of {window:g} s", Veto.GROW_WINDOW)
    wanted = min(one.wanted for one in run) if is_over else there + 1
    step = max(1, math.floor(policy.grow_step * there))
    wanted = max(there + 1, min(wanted, there + step, policy.max))
    veto, more = tightest(load, now)
    if veto is None or more >= wanted - there:
        return _Proposal(wanted, busy, by_load=True)
    if more == 0:
        return _Proposal(there, f"{busy}, but {_VETOES[veto]}", veto)
    return _Proposal(there + more, f"{busy}; not {wanted}, because {_VETOES[veto]}", veto, by_load=True)


def _grow_window(policy: ScalePolicy, state: State, load: Load) -> tuple[float, tuple[Busy, ...]]:
    """How long the workers must be busy, and the intervals in a row in which they were."""
    begin = load.at - load.seconds - max(policy.grow_window, BEFORE * policy.sample)
    recent = tuple(one for one in state.busy if one.since > begin)
    if all(one.saturated for one in recent):
        return policy.grow_window, recent
    return BUSY_WINDOWS * policy.grow_window, state.busy


def _shrinking(policy: ScalePolicy, state: State, load: Load, now: float) -> _Proposal:
    there, window, busy = load.wanted, policy.shrink_window * state.penalty, _busy(load)
    if load.saturation is None:
        return _Proposal(there, busy, Veto.UNMEASURED)
    living = there - load.lost
    could = living if load.quota_workers is None else min(living, load.quota_workers)
    peak = state.peaks[0].work
    if load.ceiling / could >= policy.shrink_at:
        return _Proposal(there, busy, Veto.DEAD_BAND)
    if peak / could >= policy.shrink_at:
        return _Proposal(there, f"{busy}, but {100 * peak / could:.0f} % within {window:g} s", Veto.SHRINK_WINDOW)
    wanted = max(policy.min, math.ceil(peak / policy.target - ROUNDING))
    if wanted >= there:
        at_min = there <= policy.min
        return _Proposal(there, busy if at_min else f"{busy}; fewer would be too busy", _LEAST[at_min])
    left = max(0.0 if at is None else at + window - now for at in (state.watched, state.changed))
    if left > 0:
        return _Proposal(there, f"{busy}; {left:.0f} s more of it", Veto.SHRINK_WINDOW)
    step = max(1, math.floor(policy.shrink_step * there))
    return _Proposal(max(wanted, there - step), f"{busy}, for {window:g} s", by_load=True)


def _busy(load: Load) -> str:
    if load.saturation is None:
        return "no worker is ready and past its warm-up"
    said = f"{load.measured} ready workers are {100 * load.saturation:.0f} % busy"
    return f"{said} by the application's own word" if load.overrun else said


# -- concluding ------------------------------------------------------------------------------------


def _concluded(
    policy: ScalePolicy, state: State, load: Load, proposal: _Proposal, now: float
) -> tuple[State, Decision]:
    there, wanted, window = load.wanted, proposal.wanted, policy.shrink_window * state.penalty
    acts = wanted != there and not policy.dry_run
    decision = Decision(
        wanted=wanted if acts else there,
        verdict=Verdict.GROW if wanted > there else Verdict.SHRINK if wanted < there else Verdict.HOLD,
        reason=proposal.reason,
        veto=proposal.veto,
        proposed=wanted,
        leaving=leaving(load, there - wanted) if acts and wanted < there else (),
        load=load,
        peak=state.peaks[0].work,
        shrink_window=window,
        dry_run=policy.dry_run,
    )
    if not acts:
        return state, decision
    state = replace(state, changed=now, busy=(), memory_stalled=None, too_few=False)
    if wanted < there:
        return replace(state, shrunk=now if proposal.by_load else state.shrunk), decision
    if proposal.by_load and state.shrunk is not None and now - state.shrunk < FLAP * window:
        state = replace(state, penalty=min(MOST_PENALTY, 2 * state.penalty), flapped=now)
    return replace(state, shrunk=None, too_few=True), decision


_LEAST = {True: Veto.AT_MIN, False: Veto.DEAD_BAND}
_GAPS = {
    Veto.NO_SAMPLE: "there is no sample, or only the first one",
    Veto.STALLED: "the last sample is too long ago",
    Veto.TOO_SOON: "the last sample is too short ago",
}
_VETOES = {
    Veto.IN_FLIGHT: "the last ones are not ready yet",
    Veto.CRASH_LOOP: "a worker crashes again and again",
    Veto.RECENT_OOM: "one of them was OOM-killed a moment ago",
    Veto.PRESSURE: "they wait for memory already",
    Veto.MEMORY: "so many would not fit into memory",
    Veto.QUOTA_BOUND: "their common cpu_max is used up: more workers would get no more of it; raise it",
    Veto.STARVED: "the host has no more CPU to give",
    Veto.PIDS_MAX: "so many would not fit into pids_max",
}
