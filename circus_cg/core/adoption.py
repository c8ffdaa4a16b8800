"""How a slot outlives its arbiter: as a note that the keeper stores, made a slot again by the next arbiter."""

from math import inf
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from circus_cg.core.state import Exit, Phase, Readiness, Slot

READ_WITHIN = 5.0  # seconds from adoption


class Held(msgspec.Struct, frozen=True):
    """What the keeper has in a slot; its last life is `generation` (0: none was ever asked of it)."""

    generation: int
    state: Literal["empty", "launching", "running", "exited"]  # exited: not acknowledged yet
    pid: int | None


def to_note(slot: Slot) -> str:
    """JSON; a deadline of infinity is null."""
    return msgspec.json.encode(slot).decode()


def from_note(text: str) -> Slot:
    """Reads notes one version older or newer: missing fields have their defaults, unknown ones are dropped.

    Raises msgspec.DecodeError for anything else.
    """
    fields: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    if fields.get("deadline") is None:
        fields["deadline"] = inf
    return msgspec.convert(fields, Slot)


def rebuild(noted: Slot | None, wid: int, held: Held, now: float) -> Slot:
    """The slot as a new arbiter must see it: the keeper's word on what lives, the note's on all else.

    An exit still unacknowledged comes afterwards as an ordinary event. What the dead arbiter may have failed to do
    or hear is due at once: the returned deadline has come.
    """
    slot = Slot(wid=wid, wanted=held.state != "empty") if noted is None else replace(noted, wid=wid)
    if held.state == "empty":
        return _without_process(slot, held, now)
    if slot.generation != held.generation or not slot.alive:
        if held.state == "exited" and slot.generation == held.generation:
            return _without_process(slot, held, now)  # the note already knows of that exit
        slot = _life(slot, held)
    running = held.state == "running"
    slot = replace(slot, pid=held.pid if running else None)
    if running and slot.frozen and slot.phase is not Phase.STOPPING:  # its group may not be: it was frozen on its way
        left = max(slot.deadline - now, READ_WITHIN) if slot.readiness.awaited and slot.deadline < inf else slot.left
        slot = replace(slot, deadline=now, left=left)
    if running and slot.started is None:
        slot = replace(slot, started=now)
    if slot.phase is Phase.STOPPING or not slot.wanted:
        due = slot.deadline if slot.phase is Phase.STOPPING and (slot.signalled or not running) else now
        asked = slot.asked or slot.ending is None or not slot.wanted
        return replace(slot, phase=Phase.STOPPING, asked=asked, deadline=due)
    return _running(slot, now) if running else slot


def _running(slot: Slot, now: float) -> Slot:
    """What it said while no arbiter lived is still to be read: it has time for that."""
    if slot.readiness.awaited:
        return (
            slot if slot.frozen else replace(slot, phase=Phase.STARTING, deadline=max(slot.deadline, now + READ_WITHIN))
        )
    heard = slot.readiness
    if heard.period:
        heard = replace(heard, heard=now)
    ready = replace(slot, phase=Phase.READY, readiness=heard)
    return ready if slot.frozen else replace(ready, deadline=now + heard.period if heard.period else inf)


def _without_process(slot: Slot, held: Held, now: float) -> Slot:
    """Its group may be populated still, and the notice of its emptiness may be lost: look again."""
    known = replace(slot, generation=held.generation, alive=False, pid=None)
    if slot.alive:
        known = replace(known, last_exit=Exit(None, None, "unknown", "", 0.0, now))
    if slot.phase in (Phase.IDLE, Phase.BACKOFF, Phase.FAILED, Phase.DONE):
        return known
    return replace(known, phase=Phase.STOPPING, deadline=now)


def _life(slot: Slot, held: Held) -> Slot:
    """A life the note does not know."""
    begun = replace(slot, generation=held.generation, alive=True, started=None, asked=False, signalled=False)
    begun = replace(begun, frozen=False, left=0.0, ending=None, readiness=Readiness())
    return replace(begun, phase=Phase.STARTING, deadline=inf, kills=0, stuck=False)
