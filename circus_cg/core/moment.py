"""What a decision about a slot may look at besides the slot, and the shape of its answer."""

from __future__ import annotations

from typing import NamedTuple

from circus_cg.core.effects import Effect, Kind, Publish
from circus_cg.core.state import Exit, Slot
from circus_cg.spec import WatcherSpec

Step = tuple[Slot, tuple[Effect, ...]]


class Moment(NamedTuple):
    spec: WatcherSpec
    now: float
    draw: float
    cause: int


def tell(at: Moment, slot: Slot, kind: Kind, detail: str = "", end: Exit | None = None) -> Publish:
    return Publish(kind, detail, at.cause, slot.generation, slot.pid, end)
