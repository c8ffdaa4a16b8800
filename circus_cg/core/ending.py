"""How a life is made to end: asked, then killed until nothing is left of it. And how an end is told."""

from __future__ import annotations

from signal import SIGKILL
from typing import assert_never

from msgspec.structs import replace

from circus_cg.core.effects import KillGroup, Publish, Signal, ThawGroup
from circus_cg.core.events import End, Exited
from circus_cg.core.moment import Moment, Step, tell
from circus_cg.core.state import Ending, Exit, Phase, Slot
from circus_cg.spec import StopStep, WatcherSpec

KILL_AGAIN = 1.0  # seconds between two kills of a group that will not empty
STUCK_AFTER = 5  # such kills
LAST = 1_000_000  # the stage after which nothing but the kill follows


def on_end(at: Moment, slot: Slot, event: End) -> Step:
    """Nobody asked for it, so what follows the exit is for the restart policy to say."""
    if event.generation != slot.generation:
        return slot, ()
    match slot.phase:
        case Phase.STARTING | Phase.READY:
            ending = Ending(reason=event.reason, detail=event.detail, signum=event.signum)
            return ask(at, replace(slot, ending=ending), asked=False)
        case Phase.IDLE | Phase.BACKOFF | Phase.FAILED | Phase.DONE | Phase.STOPPING:  # nothing lives, or it is leaving
            return slot, ()
        case _:
            assert_never(slot.phase)


def escalation(spec: WatcherSpec) -> tuple[StopStep, ...]:
    """The signals that ask a life to leave, each with its patience; then the group is killed."""
    return spec.stop or (StopStep(spec.stop_signal, spec.graceful_timeout),)


def patience(spec: WatcherSpec) -> float:
    """Seconds from the first signal to the kill."""
    return sum(step.wait for step in escalation(spec))


def ask(at: Moment, slot: Slot, *, asked: bool = True) -> Step:
    """Ask the life to end; one still in flight is asked when it is there, and has the same deadline.

    `asked`: it was somebody's wish, so the end is no failure.
    """
    steps = escalation(at.spec)
    first = steps[0]
    if slot.ending is not None and slot.ending.signum is not None and not asked:
        first = first._replace(signal=slot.ending.signum)
    there, deadline = slot.pid is not None, at.now + first.wait
    # What it was asked by may hold for this once (`kill`), and then no step of the watcher's own follows.
    stage = 0 if not there else 1 if len(steps) > 1 else LAST
    asking = replace(
        slot, phase=Phase.STOPPING, asked=asked, signalled=there, stage=stage, deadline=deadline, frozen=False
    )
    if not there:
        return asking, ()
    thaw = (ThawGroup(slot.generation, at.cause),) if slot.frozen else ()
    return asking, (*thaw, *_sent(at, slot, first, f"{slot.ending}; " if slot.ending is not None else ""))


def press(at: Moment, slot: Slot) -> Step:
    """The time that a life had to leave is over: the next signal, if there is one."""
    if slot.pid is not None and not slot.signalled:  # adopted before it was asked to leave
        return ask(at, slot, asked=slot.asked)
    steps = escalation(at.spec)
    sent = max(slot.stage, 1)  # an arbiter of a version before did not count
    if slot.pid is None or slot.kills or sent >= len(steps):
        return kill(at, slot)
    further = replace(slot, stage=sent + 1, deadline=at.now + steps[sent].wait)
    return further, _sent(at, slot, steps[sent])


def _sent(at: Moment, slot: Slot, step: StopStep, why: str = "") -> tuple[Signal, Publish]:
    told = tell(at, slot, "stopping", f"{why}signal {step.signal:d}, {step.wait:g} s to leave")
    return Signal(slot.generation, step.signal, at.cause, at.spec.stop_children), told


def kill(at: Moment, slot: Slot) -> Step:
    """Kill the group, and again until it is empty."""
    order = KillGroup(slot.generation, at.cause)
    killing = replace(slot, kills=slot.kills + 1, deadline=at.now + KILL_AGAIN)
    if slot.stuck or slot.kills < STUCK_AFTER:
        return killing, (order,)
    told = tell(at, slot, "stuck", f"not gone after {slot.kills} kills of its group")
    return replace(killing, stuck=True), (order, told)


def end_of(slot: Slot, event: Exited, now: float) -> Exit:
    # The news of a short life's start may be read after its end was clocked.
    uptime = 0.0 if slot.started is None else max(0.0, now - slot.started)
    detail = event.detail
    if slot.ending is not None:
        reason = slot.ending.reason
        detail = ", ".join(part for part in (slot.ending.detail, event.detail) if part)
    elif event.oom is not None:
        reason = "oom" if event.oom == "own" else "oom-host"
    elif event.signal is None:
        reason = "exited"
    else:
        reason = "killed" if event.signal == SIGKILL and slot.kills else "signal"
    return Exit(event.code, event.signal, reason, detail, uptime, now, event.peak)
