"""A watcher is a set of slots and how many are wanted. Decisions for the whole set; `slot.step` carries them on.

Commands cost O(slots); nothing here is called for an ordinary event.
"""

from collections.abc import Iterable, Mapping
from itertools import count

from circus_cg.core.events import Command, Freeze, Restart, Start, Stop, Thaw
from circus_cg.core.state import Phase, Slot

Decisions = tuple[tuple[int, type[Command]], ...]

# The first phase that any slot is in names the watcher's status, in circus's words.
_WHEN_WANTED = (
    (Phase.STARTING, "starting"),
    (Phase.READY, "active"),
    (Phase.BACKOFF, "starting"),
    (Phase.STOPPING, "stopping"),
    (Phase.FAILED, "stopped"),
    (Phase.DONE, "stopped"),
    (Phase.IDLE, "active"),  # none is wanted: as active as it can be
)
_WHEN_UNWANTED = (
    (Phase.STARTING, "stopping"),
    (Phase.READY, "stopping"),
    (Phase.BACKOFF, "stopping"),
    (Phase.STOPPING, "stopping"),
)
# Who leaves first when the set shrinks.
_LEAST_MISSED = (Phase.DONE, Phase.FAILED, Phase.BACKOFF, Phase.STARTING, Phase.STOPPING, Phase.IDLE, Phase.READY)


def reconcile(wanted: bool, numprocesses: int, slots: Mapping[int, Slot]) -> Decisions:
    """Whom to start or stop (by wid) so that `numprocesses` slots are wanted, or none.

    Growth takes the lowest wids that are not wanted, so that they stay dense and a worker on its way out is never
    doubled; what shrinks is not ready, or else youngest. A slot that has failed or is done keeps its
    place. Who is to replace another
    (core.replacement) does not count until it has.
    """
    everybody = [slot for slot in slots.values() if slot.wanted]
    there = [slot for slot in everybody if slot.instead is None] if wanted else everybody
    target = numprocesses if wanted else 0
    if len(there) < target:
        taken = {slot.wid for slot in everybody}
        free = (wid for wid in count(1) if wid not in taken)
        return tuple((wid, Start) for wid, _ in zip(free, range(target - len(there)), strict=False))
    leaving = sorted(there, key=_missed)[: len(there) - target]
    return tuple((wid, Stop) for wid in sorted(slot.wid for slot in leaving))


def begins(decided: Decisions) -> bool:
    """Somebody is to begin, or to begin anew."""
    return any(kind in (Start, Restart) for _, kind in decided)


def paced(decided: Decisions, slots: Mapping[int, Slot], now: int) -> tuple[Decisions, bool]:
    """`decided` with at most `now` of the workers that would be more than there are; and whether some are left out."""
    growth = [wid for wid, kind in decided if kind is Start and not (wid in slots and slots[wid].wanted)]
    later = set(growth[now:])
    return tuple(one for one in decided if one[0] not in later), bool(later)


def start(numprocesses: int, slots: Mapping[int, Slot]) -> Decisions:
    """The operator's start: as reconcile(), and whoever waits, has failed or is done begins again now."""
    decided = reconcile(True, numprocesses, slots)
    held_up = (s.wid for s in slots.values() if s.phase in (Phase.BACKOFF, Phase.FAILED, Phase.DONE))
    return decided + _others(decided, held_up, Start)


def restart(numprocesses: int, slots: Mapping[int, Slot]) -> Decisions:
    """A new life for every wanted slot, whatever its phase; missing ones start, surplus ones stop."""
    decided = reconcile(True, numprocesses, slots)
    return decided + _others(decided, (s.wid for s in slots.values() if s.wanted), Restart)


def can_freeze(slot: Slot) -> bool:
    """There is a life or a delay to stand still, and it is not on its way out."""
    return slot.phase in (Phase.STARTING, Phase.READY, Phase.BACKOFF)


def stilled(lives: Mapping[int, int], slots: Mapping[int, Slot]) -> Decisions:
    """What makes exactly the slots of these lives (wid -> generation) frozen, as an arbiter begins.

    Of another generation than the life that was frozen there was a stop or a restart since, which thaws.
    """
    asked = {wid for wid, generation in lives.items() if wid in slots and slots[wid].generation == generation}
    begin = tuple((wid, Freeze) for wid in sorted(asked) if not slots[wid].frozen)
    end = tuple((wid, Thaw) for wid in sorted(slots.keys() - asked) if slots[wid].frozen)
    return begin + end


def status(wanted: bool, phases: Mapping[Phase, int]) -> str:
    """active, starting, stopping or stopped; `phases` counts the slots in each phase."""
    if wanted:
        return next((word for phase, word in _WHEN_WANTED if phases.get(phase)), "active")
    return next((word for phase, word in _WHEN_UNWANTED if phases.get(phase)), "stopped")


def _others(decided: Decisions, wids: Iterable[int], kind: type[Command]) -> Decisions:
    done = {wid for wid, _ in decided}
    return tuple((wid, kind) for wid in sorted(set(wids) - done))


def _missed(slot: Slot) -> tuple[int, float, int]:
    return _LEAST_MISSED.index(slot.phase), -(slot.since if slot.started is None else slot.started), -slot.wid
