"""When a life counts as ready, and whether it is alive since: what it says of itself, and what its checks say of it."""

from __future__ import annotations

from math import inf
from typing import assert_never

from msgspec.structs import replace

from circus_cg.core.effects import FreezeGroup
from circus_cg.core.ending import on_end
from circus_cg.core.events import Checked, End, Told
from circus_cg.core.moment import Moment, Step, tell
from circus_cg.core.notification import Word
from circus_cg.core.state import Phase, Readiness, Slot
from circus_cg.spec import WatcherSpec

SILENT = Readiness()  # of a life that says nothing and is asked nothing


def checks(spec: WatcherSpec) -> tuple[str, ...]:
    """Those that a life is to pass."""
    return tuple(check.name for check in spec.health if check.kind == "readiness")


def unwell_by(spec: WatcherSpec, slot: Slot) -> tuple[str, ...]:
    """Of the checks that it does not pass those that there are: no other is ever asked for, nor passed."""
    asked = checks(spec)
    return tuple(name for name in slot.readiness.unwell if name in asked)


def begun(spec: WatcherSpec) -> Readiness:
    """Of a new life."""
    unwell = checks(spec) if spec.health else ()
    if spec.ready == "exec" and spec.watchdog.timeout is None and not unwell:
        return SILENT
    return Readiness(awaited=spec.ready != "exec", period=spec.watchdog.timeout or 0.0, unwell=unwell)


def limit(spec: WatcherSpec, readiness: Readiness, now: float) -> float:
    """When a life that begins now must have said that it is ready."""
    return now + spec.start_timeout if readiness.awaited else inf


def alive_until(slot: Slot) -> float:
    """When the watchdog ends a ready life that says nothing more."""
    heard = slot.readiness
    return inf if slot.frozen or heard.period <= 0 else heard.heard + heard.period


def await_readiness(at: Moment, slot: Slot) -> Step:
    """Its process is there; it has yet to say that it is ready."""
    return slot, (tell(at, slot, "started", f"pid {slot.pid}"),)


def become_ready(at: Moment, slot: Slot) -> Step:
    """Its process is there, and it has said so if it was to."""
    readiness = slot.readiness
    if readiness is not SILENT and readiness != SILENT:
        readiness = replace(readiness, awaited=False, heard=at.now)
    ready = replace(slot, phase=Phase.READY, readiness=readiness, left=0.0)
    ready = replace(ready, deadline=alive_until(ready))
    return ready, (tell(at, ready, "ready", f"pid {slot.pid}"),)


def on_told(at: Moment, slot: Slot, event: Told) -> Step:
    if event.generation != slot.generation:
        return slot, ()
    word = event.word
    match slot.phase:
        case Phase.IDLE | Phase.BACKOFF | Phase.FAILED | Phase.DONE:
            return slot, ()
        case Phase.STOPPING:  # one that is being killed gets no more time
            if word.extend is None or not slot.alive or slot.kills:
                return slot, ()
            return _later(slot, at.now + word.extend), ()
        case Phase.STARTING | Phase.READY:
            if word.trigger:
                return _expire(at, slot, "it said WATCHDOG=trigger")
            return _heard(at, slot, word)
        case _:
            assert_never(slot.phase)


def _heard(at: Moment, slot: Slot, word: Word) -> Step:
    before = slot.readiness
    after = _noted(before, word)
    if slot.phase is Phase.STARTING:
        told = slot if after == before else replace(slot, readiness=after)
        if word.extend is not None and after.awaited:
            told = _later(told, at.now + word.extend)
        if before.awaited and not after.awaited and slot.pid is not None:
            return become_ready(at, told)
        return told, ()
    if word.alive or word.watchdog is not None:
        after = replace(after, heard=at.now)
    if after == before or (after.period == 0 and after == replace(before, heard=at.now)):
        return slot, ()
    told = replace(slot, readiness=after)
    if alive_until(slot) != alive_until(told):
        told = replace(told, deadline=alive_until(told))
    if after.reloading == before.reloading:
        return told, ()
    return told, (tell(at, slot, "reloading" if after.reloading else "reloaded"),)


def _noted(before: Readiness, word: Word) -> Readiness:
    """All that a word says of the life, but for time."""
    status = word.status if word.status is not None else word.error
    after = Readiness(
        awaited=before.awaited and not word.ready,
        period=before.period if word.watchdog is None else word.watchdog,
        heard=before.heard,
        reloading=word.reloading or (before.reloading and not word.ready),
        stopping=word.stopping or before.stopping,
        status=before.status if status is None else status,
        main_pid=before.main_pid if word.main_pid is None else word.main_pid,
        unwell=before.unwell,
    )
    return before if after == before else after


def on_checked(at: Moment, slot: Slot, event: Checked) -> Step:
    """Its readiness checks: `failing` are those that it does not pass. One that is starting is asked for none, but may
    have fewer to pass than when it began.
    """
    before = slot.readiness.unwell
    lives = slot.phase in (Phase.STARTING, Phase.READY)
    if event.generation != slot.generation or not lives or event.failing == before:
        return slot, ()
    told = replace(slot, readiness=replace(slot.readiness, unwell=event.failing))
    if slot.phase is Phase.STARTING:
        return told, ()
    if event.failing:
        return told, (tell(at, slot, "unready", f"{', '.join(event.failing)}: {event.detail}"),)
    return told, (tell(at, slot, "serving"),)


def on_overdue(at: Moment, slot: Slot) -> Step:
    """The deadline of a life that is starting or ready has come."""
    if slot.frozen and slot.pid is not None:  # adopted before its group was frozen
        return replace(slot, deadline=inf), (FreezeGroup(slot.generation, at.cause),)
    if slot.phase is Phase.STARTING and slot.readiness.awaited:
        why = f"not ready after {at.spec.start_timeout:g} s"
        return on_end(at, slot, End(at.cause, slot.generation, "start-timeout", why))
    if slot.phase is Phase.READY and at.now >= alive_until(slot):
        return _expire(at, slot, f"no WATCHDOG=1 for {slot.readiness.period:g} s")
    return replace(slot, deadline=alive_until(slot)), ()


def _expire(at: Moment, slot: Slot, why: str) -> Step:
    return on_end(at, slot, End(at.cause, slot.generation, "watchdog", why, at.spec.watchdog.signal))


def _later(slot: Slot, deadline: float) -> Slot:
    """Never earlier than it is."""
    return replace(slot, deadline=deadline) if slot.deadline < deadline and slot.deadline != inf else slot
