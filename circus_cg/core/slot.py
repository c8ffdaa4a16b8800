"""One slot's state machine. `step` reads no clock and touches nothing: time and chance come in, wishes go out.

A life is over when its process is gone and its group is empty; only then may the next begin.
"""

from collections.abc import Callable
from math import inf
from typing import Any, assert_never

from msgspec.structs import replace

from circus_cg.core import backoff
from circus_cg.core.adoption import Held, from_note, rebuild, to_note
from circus_cg.core.effects import FreezeGroup, Kind, Publish, RemoveGroup, Spawn
from circus_cg.core.ending import ask, end_of, kill, on_end, press
from circus_cg.core.events import (
    Checked,
    Command,
    DeadlineReached,
    Emptied,
    End,
    Event,
    Exited,
    Freeze,
    LaunchFailed,
    Refused,
    Restart,
    Spawned,
    Start,
    Stop,
    Thaw,
    Told,
)
from circus_cg.core.freezing import on_freeze, on_thaw, stilled
from circus_cg.core.moment import Moment, Step, tell
from circus_cg.core.readiness import await_readiness, become_ready, begun, limit, on_checked, on_overdue, on_told
from circus_cg.core.restart import follows
from circus_cg.core.state import HELD, Exit, Instead, Phase, Slot
from circus_cg.spec import WatcherSpec

__all__ = ["Exit", "Held", "Phase", "Slot", "from_note", "rebuild", "step", "to_note"]

ASK_AGAIN = 0.1  # seconds, after the keeper refused a spawn though nothing runs


def step(spec: WatcherSpec, slot: Slot, event: Event, now: float, draw: float) -> Step:
    """The slot after `event`, and what is to be done; the same slot when nothing follows. `draw`: chance in [0, 1)."""
    after, effects = _react(Moment(spec, now, draw, event.id), slot, event)
    if after is slot:
        return slot, ()
    since = slot.since if after.phase is slot.phase else now
    return replace(after, since=since, cause=event.id), effects


def _react(at: Moment, slot: Slot, event: Event) -> Step:
    match event:
        case Start() | Stop() | Restart() | Freeze() | Thaw():
            return _on_command(at, slot, event)
        case End() | Told() | Checked():
            return _OF_A_LIFE[type(event)](at, slot, event)
        case Refused():
            return _on_refused(at, slot, event)
        case DeadlineReached():
            return _on_deadline(at, slot)
        case Spawned() | LaunchFailed() | Exited() | Emptied():
            if event.generation != slot.generation:
                return slot, ()  # news of an earlier life
            return _on_news(at, slot, event)
        case _:
            assert_never(event)


_OF_A_LIFE: dict[type[Event], Callable[[Moment, Slot, Any], Step]] = {
    End: on_end,
    Told: on_told,
    Checked: on_checked,
}


def _on_command(at: Moment, slot: Slot, event: Command) -> Step:
    return _on_start(at, slot, event.instead) if isinstance(event, Start) else _OTHERS[type(event)](at, slot)


def _on_start(at: Moment, slot: Slot, instead: Instead | None) -> Step:
    if slot.instead != instead:
        slot = replace(slot, instead=instead)
    match slot.phase:
        case Phase.BACKOFF if slot.frozen:  # as soon as it is thawed
            return (replace(slot, left=0.0) if slot.left else slot), ()
        case Phase.IDLE | Phase.BACKOFF | Phase.FAILED | Phase.DONE:
            return _begin(at, slot, asked=True)
        case Phase.STARTING | Phase.READY:
            return slot, ()
        case Phase.STOPPING:  # once it is down
            return (slot if slot.wanted else replace(slot, wanted=True)), ()
        case _:
            assert_never(slot.phase)


def _on_stop(at: Moment, slot: Slot) -> Step:
    match slot.phase:
        case Phase.IDLE:
            return slot, ()
        case Phase.BACKOFF | Phase.FAILED | Phase.DONE:
            return _rest(at, slot)
        case Phase.STARTING | Phase.READY:
            return ask(at, replace(slot, wanted=False))
        case Phase.STOPPING:
            return replace(slot, wanted=False, asked=True, frozen=False), ()
        case _:
            assert_never(slot.phase)


def _on_restart(at: Moment, slot: Slot) -> Step:
    match slot.phase:
        case Phase.IDLE | Phase.BACKOFF | Phase.FAILED | Phase.DONE:
            return _begin(at, slot, asked=True)
        case Phase.STARTING | Phase.READY:
            return ask(at, slot)
        case Phase.STOPPING:
            return replace(slot, wanted=True, asked=True, frozen=False), ()
        case _:
            assert_never(slot.phase)


_OTHERS = {Stop: _on_stop, Restart: _on_restart, Freeze: on_freeze, Thaw: on_thaw}


def _on_news(at: Moment, slot: Slot, event: Spawned | LaunchFailed | Exited | Emptied) -> Step:
    """Of the slot's present life. News is told at least once, so the second telling must change nothing."""
    match event:
        case Spawned() if slot.alive and slot.pid is None:
            return _on_spawned(at, slot, event.pid)
        case LaunchFailed() if slot.alive:
            return _on_launch_failed(at, slot, event)
        case Exited() if slot.alive:
            return _on_exited(at, slot, event)
        case Emptied() if slot.phase is Phase.STOPPING and not slot.alive:
            return _over(at, slot)
        case Spawned() | LaunchFailed() | Exited() | Emptied():
            return slot, ()
        case _:
            assert_never(event)


def _on_spawned(at: Moment, slot: Slot, pid: int) -> Step:
    delay = None if slot.exec_failures else slot.delay  # those delays were the exec's, not the worker's
    born = replace(slot, pid=pid, started=at.now, exec_failures=0, delay=delay)
    if slot.phase is Phase.STOPPING:  # asked for before the stop, born after it
        return ask(at, born, asked=slot.asked)
    there, effects = await_readiness(at, born) if slot.readiness.awaited else become_ready(at, born)
    if not slot.frozen:
        return there, effects
    return stilled(at, there), (FreezeGroup(slot.generation, at.cause), *effects, tell(at, there, "frozen"))


def _on_launch_failed(at: Moment, slot: Slot, event: LaunchFailed) -> Step:
    end = Exit(None, None, "exec", f"{event.stage}: {event.text}", 0.0, at.now)
    gone = replace(slot, alive=False, pid=None, last_exit=end, exec_failures=slot.exec_failures + 1)
    return _over(at, gone, tell(at, slot, "exit", str(end), end))


def _on_exited(at: Moment, slot: Slot, event: Exited) -> Step:
    end = end_of(slot, event, at.now)
    gone = replace(slot, alive=False, pid=None, last_exit=end)
    told = tell(at, slot, "exit", str(end), end)
    if not event.populated:
        return _over(at, gone, told)
    killing, effects = kill(at, replace(gone, phase=Phase.STOPPING))
    return killing, (*effects, told)


def _on_refused(at: Moment, slot: Slot, event: Refused) -> Step:
    """The keeper's truth wins: one spawn at most is in flight, so this answers ours."""
    if not slot.alive or slot.pid is not None:
        return slot, ()
    there = replace(slot, generation=event.generation)
    if event.pid is not None:
        after, effects = _on_spawned(at, there, event.pid)
    elif slot.phase is Phase.STOPPING:
        after, effects = _over(at, replace(there, alive=False, asked=True))  # there was no life to judge
    else:
        after, effects = _wait(at, replace(there, alive=False), ASK_AGAIN, "backoff", "the keeper refused the spawn")
    unused = event.generation != slot.generation != after.generation
    return after, (*effects, *((RemoveGroup(slot.generation, at.cause),) if unused else ()))


def _on_deadline(at: Moment, slot: Slot) -> Step:
    if at.now < slot.deadline:
        return slot, ()
    match slot.phase:
        case Phase.BACKOFF:
            return _begin(at, slot, asked=False)
        case Phase.STOPPING:
            return press(at, slot)
        case Phase.STARTING | Phase.READY:
            return on_overdue(at, slot)
        case Phase.IDLE | Phase.FAILED | Phase.DONE:
            return replace(slot, deadline=inf), ()
        case _:
            assert_never(slot.phase)


def _begin(at: Moment, slot: Slot, *, asked: bool) -> Step:
    """The next life; an operator's wish also forgets the record of the earlier ones."""
    if asked:
        slot = replace(slot, delay=None, exits=(), retries=0, exec_failures=0)
    readiness = begun(at.spec)
    life = replace(
        slot,
        wanted=True,
        phase=Phase.STARTING,
        generation=slot.generation + 1,
        deadline=limit(at.spec, readiness, at.now),
        pid=None,
        alive=True,
        asked=False,
        signalled=False,
        stage=0,
        started=None,
        restarts=slot.restarts + (not asked),
        kills=0,
        stuck=False,
        frozen=False,
        left=0.0,
        ending=None,
        readiness=readiness,
        luck=at.draw,
    )
    return life, (Spawn(life.generation, at.cause),)


def _over(at: Moment, slot: Slot, *told: Publish) -> Step:
    """The life is over. A spawn comes first in the answer: a restart is the hot path."""
    if not slot.wanted:
        after, effects = _rest(at, slot)
    elif slot.asked:
        after, effects = _begin(at, slot, asked=True)
    elif slot.last_exit is None or slot.last_exit.reason == "exec":
        after, effects = _after_launch_failure(at, slot)
    elif (at.spec.restart != "always" or at.spec.restart_prevent_exit_status) and not follows(at.spec, slot.last_exit):
        after, effects = _done(at, slot)
    else:
        after, effects = _after_exit(at, slot, slot.last_exit)
    spawns = tuple(effect for effect in effects if isinstance(effect, Spawn))
    rest = tuple(effect for effect in effects if not isinstance(effect, Spawn))
    return after, (*spawns, RemoveGroup(slot.generation, at.cause), *told, *rest)


def _after_launch_failure(at: Moment, slot: Slot) -> Step:
    if backoff.is_exhausted(slot.exec_failures, at.spec.max_retry):
        return _fail(at, slot, f"could not be started {slot.exec_failures} times in a row")
    delay = backoff.exec_delay(at.spec.backoff, slot.delay if slot.exec_failures > 1 else None)
    return _wait(at, replace(slot, delay=delay), delay, "backoff", f"{slot.exec_failures} failed starts in a row")


def _after_exit(at: Moment, slot: Slot, end: Exit) -> Step:
    """An exit nobody asked for."""
    spec, flapping = at.spec, at.spec.flapping
    uptime = 0.0 if slot.readiness.awaited else end.uptime  # one that never became ready was never up
    short = uptime < spec.min_uptime
    exits = backoff.counted_exits(flapping, (*slot.exits, end.at) if short else slot.exits, at.now)
    retries = 0 if backoff.is_stable(slot.delay, uptime, spec.min_uptime) else slot.retries
    delay = backoff.next_delay(spec.backoff, slot.delay, uptime, spec.min_uptime)
    judged = replace(slot, exits=exits, retries=retries, delay=delay)
    if not short or not backoff.is_flapping(flapping, exits):
        return _wait(at, judged, delay, "backoff", f"{len(exits)} short lives in {flapping.window:g} s")
    burst = f"{len(exits)} short lives in {flapping.window:g} s"
    if backoff.is_exhausted(retries + 1, flapping.max_retry):
        return _fail(at, judged, f"{burst}, after {retries} waits")
    waiting = replace(judged, exits=(), retries=retries + 1)
    return _wait(at, waiting, flapping.retry_in, "flapping", burst)


def _wait(at: Moment, slot: Slot, delay: float, kind: Kind, why: str) -> Step:
    pause = backoff.jittered(at.spec.backoff, delay, at.draw)
    if slot.last_exit is not None and slot.last_exit.reason in HELD:
        pause = max(pause, backoff.HOST_LEAST)
    if slot.frozen:
        told = tell(at, slot, kind, f"restart {pause:.2f} s after a thaw ({why})")
        return replace(slot, phase=Phase.BACKOFF, deadline=inf, left=pause), (told,)
    if pause <= 0:
        return _begin(at, slot, asked=False)
    told = tell(at, slot, kind, f"restart in {pause:.2f} s ({why})")
    return replace(slot, phase=Phase.BACKOFF, deadline=at.now + pause), (told,)


def _rest(at: Moment, slot: Slot) -> Step:
    idle = replace(slot, wanted=False, phase=Phase.IDLE, deadline=inf, frozen=False, left=0.0, instead=None)
    return idle, (tell(at, slot, "stopped"),)


def _done(at: Moment, slot: Slot) -> Step:
    done = replace(slot, phase=Phase.DONE, deadline=inf, frozen=False, left=0.0)
    return done, (tell(at, slot, "done", f"no other life follows (restart: {at.spec.restart})"),)


def _fail(at: Moment, slot: Slot, why: str) -> Step:
    failed = replace(slot, phase=Phase.FAILED, deadline=inf, frozen=False, left=0.0)
    return failed, (tell(at, slot, "failed", why),)
