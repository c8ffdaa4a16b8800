"""New before old: another worker begins beside one that is to go, and takes its place once it is ready.

One replacement at a time in a watcher; the others wait for their turn. What is under way is written in the slots
themselves (`Slot.instead`), so that the next arbiter goes on with it; what waits is asked for again by whoever
wanted it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from math import inf
from typing import NamedTuple, assert_never

import msgspec

from circus_cg.core.state import Instead, Phase, Reason, Slot
from circus_cg.spec import WatcherSpec

AGAIN = 30.0  # seconds after a replacement that was asked for and came to nothing, or longer if restarts wait longer


class Wish(NamedTuple):
    """That this life be replaced, and why."""

    wid: int
    generation: int
    reason: Reason
    detail: str


class Begin(msgspec.Struct, frozen=True):
    """A life at `wid`, beside the one it is to replace."""

    wid: int
    instead: Instead


class Take(msgspec.Struct, frozen=True):
    """The worker at `wid` is ready: it stays, and the other one ends and gives up its place."""

    wid: int
    instead: Instead


class Drop(msgspec.Struct, frozen=True):
    """The worker at `wid` goes again, and the other one stays."""

    wid: int
    instead: Instead
    why: str


class InPlace(msgspec.Struct, frozen=True):
    """There can't be one more: the life ends, and the next begins in its place."""

    wish: Wish
    why: str


Move = Begin | Take | Drop | InPlace


class Use(NamedTuple):
    """What a watcher, or one of its workers, has of what limits the sum; None: unknown, or no limit."""

    memory_current: int | None = None  # bytes
    memory_max: int | None = None
    pids: int | None = None
    pids_max: int | None = None


class Queue(msgspec.Struct, frozen=True):
    wishes: tuple[Wish, ...] = ()
    in_place: Wish | None = None  # whose end we asked for, until its slot has settled

    def __bool__(self) -> bool:
        return bool(self.wishes) or self.in_place is not None


def wish(queue: Queue, wished: Wish) -> Queue:
    """A life is replaced once, whoever asks."""
    same = wished.wid, wished.generation
    if any((other.wid, other.generation) == same for other in queue.wishes):
        return queue
    return Queue((*queue.wishes, wished), queue.in_place)


def again(spec: WatcherSpec) -> float:
    """Seconds after which whoever wanted a life replaced may want it once more."""
    return max(AGAIN, spec.backoff.max)


def newcomer(slots: Mapping[int, Slot]) -> Slot | None:
    """Who is about to replace another."""
    return next((slot for slot in slots.values() if slot.wanted and slot.instead is not None), None)


def advance(
    spec: WatcherSpec, slots: Mapping[int, Slot], queue: Queue, no_room: str | None, now: float
) -> tuple[Queue, Move | None]:
    """What is to be done now, and the queue as it is then. `no_room`: why the watcher can't hold one more worker.

    Whoever waits for something that no event of a slot will tell has his time: it is over at `due`.
    """
    if (new := newcomer(slots)) is not None:
        assert new.instead is not None
        late = now >= due(spec, slots)
        move = _unwell(spec, new, new.instead) if late else _judge(slots, new, new.instead)
        return _without(queue, move.instead) if isinstance(move, Drop) else queue, move
    if queue.in_place is not None:
        if not _is_settled(slots, queue.in_place):
            return queue, None
        queue = Queue(queue.wishes)
    while queue.wishes:
        first, queue = queue.wishes[0], Queue(queue.wishes[1:])
        if not _is_there(slots, first.wid, first.generation):
            continue
        if (why := _only_in_place(spec) or no_room) is not None:
            return Queue(queue.wishes, in_place=first), InPlace(first, why)
        wid = next(wid for wid in count(1) if wid not in slots or slots[wid].phase is Phase.IDLE)
        return queue, Begin(
            wid, Instead(wid=first.wid, generation=first.generation, reason=first.reason, detail=first.detail)
        )
    return queue, None


def due(spec: WatcherSpec, slots: Mapping[int, Slot]) -> float:
    """When one that is ready beside another must have passed its checks. Time does not count for who stands still."""
    new = newcomer(slots)
    if new is None or new.phase is not Phase.READY or new.frozen or new.serving:
        return inf
    return new.since + _patience(spec)


def lack_of_room(whole: Use, one: Use) -> str | None:
    """Why a second worker like `one` does not fit into what the watcher may use."""
    for name, used, limit, more in (
        ("memory_max", whole.memory_current, whole.memory_max, one.memory_current),
        ("pids_max", whole.pids, whole.pids_max, one.pids),
    ):
        if used is not None and limit is not None and used + (more or 0) > limit:
            return f"one more would not fit into watcher_limits.{name} {limit}"
    return None


def _judge(slots: Mapping[int, Slot], new: Slot, instead: Instead) -> Take | Drop | None:
    if not _is_there(slots, instead.wid, instead.generation):
        return Drop(new.wid, instead, "the life it was to replace is over")
    match new.phase:
        case Phase.STARTING:
            return None
        case Phase.READY if new.readiness.stopping:  # and whether it ends, and when, is for itself to know
            return Drop(new.wid, instead, "it says that it is stopping")
        case Phase.READY:  # one that stands still can't take over, nor one that does not pass its checks yet
            return None if new.frozen or not new.serving else Take(new.wid, instead)
        case Phase.STOPPING | Phase.BACKOFF | Phase.FAILED | Phase.DONE | Phase.IDLE:
            return Drop(new.wid, instead, f"it did not become ready: {new.last_exit or new.phase}")
        case _:
            assert_never(new.phase)


def _unwell(spec: WatcherSpec, new: Slot, instead: Instead) -> Drop:
    failing = ", ".join(new.readiness.unwell)
    return Drop(new.wid, instead, f"it is ready and does not pass {failing} after {_patience(spec):g} s")


def _patience(spec: WatcherSpec) -> float:
    """Seconds to pass the checks: as many as there were to become ready, beside what its questions take by themselves,
    one of them answered too early.
    """
    readiness = [check for check in spec.health if check.kind == "readiness"]
    asked = (c.start_period + c.successes * (c.interval + c.timeout) for c in readiness)
    return spec.start_timeout + max(asked, default=0.0)


def _without(queue: Queue, dropped: Instead) -> Queue:
    """Who has still that wish says so again, and later: the next try would be at once, and before everybody else's."""
    life = dropped.wid, dropped.generation
    return Queue(tuple(one for one in queue.wishes if (one.wid, one.generation) != life), queue.in_place)


def _is_there(slots: Mapping[int, Slot], wid: int, generation: int) -> bool:
    """That life lives, and nobody has asked it to end."""
    slot = slots.get(wid)
    return slot is not None and slot.generation == generation and slot.wanted and slot.phase is Phase.READY


def _is_settled(slots: Mapping[int, Slot], ended: Wish) -> bool:
    """Its next life has begun, or there is none: it was done, or it has failed."""
    slot = slots.get(ended.wid)
    if slot is None or not slot.wanted or slot.phase in (Phase.IDLE, Phase.FAILED, Phase.DONE):
        return True
    return slot.generation != ended.generation and slot.phase not in (Phase.STARTING, Phase.STOPPING)


def _only_in_place(spec: WatcherSpec) -> str | None:
    if spec.restart == "never":
        return "nothing is restarted here"
    return "it is a singleton" if spec.singleton else None
