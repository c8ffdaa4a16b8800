"""A life that stands still: its group is frozen, and no time passes for it until a thaw."""

from __future__ import annotations

from math import inf
from typing import assert_never

from msgspec.structs import replace

from circus_cg.core.effects import FreezeGroup, ThawGroup
from circus_cg.core.moment import Moment, Step, tell
from circus_cg.core.readiness import alive_until
from circus_cg.core.state import Phase, Slot


def on_freeze(at: Moment, slot: Slot) -> Step:
    if slot.frozen:
        return slot, ()
    match slot.phase:
        case Phase.STARTING if slot.pid is None:  # once its exec has happened: the launcher must not be held up
            return replace(slot, frozen=True), ()
        case Phase.STARTING | Phase.READY:
            return stilled(at, slot), (FreezeGroup(slot.generation, at.cause), tell(at, slot, "frozen"))
        case Phase.BACKOFF:
            left = max(0.0, slot.deadline - at.now)
            return stilled(at, slot), (tell(at, slot, "frozen", f"{left:.2f} s before a start"),)
        case Phase.IDLE | Phase.STOPPING | Phase.FAILED | Phase.DONE:  # what is on its way out goes on
            return slot, ()
        case _:
            assert_never(slot.phase)


def stilled(at: Moment, slot: Slot) -> Slot:
    """With what is left of its time kept."""
    left = 0.0 if slot.deadline == inf or slot.phase is Phase.READY else max(0.0, slot.deadline - at.now)
    return replace(slot, frozen=True, deadline=inf, left=left)


def on_thaw(at: Moment, slot: Slot) -> Step:
    if not slot.frozen:
        return slot, ()
    thawed = replace(slot, frozen=False, left=0.0)
    match slot.phase:
        case Phase.STARTING if slot.pid is None:
            return thawed, ()
        case Phase.STOPPING | Phase.IDLE | Phase.FAILED | Phase.DONE:
            return thawed, ()
        case Phase.STARTING:
            thawed = replace(thawed, deadline=at.now + slot.left)
        case Phase.READY:
            if slot.readiness.period:  # it could say nothing
                thawed = replace(thawed, readiness=replace(slot.readiness, heard=at.now))
            thawed = replace(thawed, deadline=alive_until(thawed))
        case Phase.BACKOFF:
            return replace(thawed, deadline=at.now + slot.left), (tell(at, slot, "thawed"),)
        case _:
            assert_never(slot.phase)
    return thawed, (ThawGroup(slot.generation, at.cause), tell(at, slot, "thawed"))
