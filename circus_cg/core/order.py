"""Who begins before whom, and ends after: by `after` and `requires`, and where these say nothing by `priority`."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from circus_cg.core.ending import patience
from circus_cg.core.restart import exit_code, is_success
from circus_cg.core.state import Phase, Slot
from circus_cg.spec import WatcherSpec


def before(spec: WatcherSpec) -> frozenset[str]:
    """Those that begin before it."""
    return frozenset(spec.after) | frozenset(spec.requires)


def sequence(specs: Iterable[WatcherSpec]) -> list[str]:
    """Names in the order of their starts; those of one priority as they are given. A cycle is cut where it is met."""
    ranked = sorted(specs, key=lambda spec: -spec.priority)
    known = {spec.name: (rank, before(spec)) for rank, spec in enumerate(ranked)}
    found: dict[str, None] = {}
    entered: set[str] = set()
    for spec in ranked:
        waiting = [spec.name]
        while waiting:
            name = waiting[-1]
            earlier = known[name][1] - found.keys() - entered if name not in entered else ()
            entered.add(name)
            if rest := sorted((one for one in earlier if one in known), key=lambda one: known[one][0], reverse=True):
                waiting += rest
            else:
                found.setdefault(waiting.pop())
    return list(found)


def dependants(specs: Iterable[WatcherSpec]) -> dict[str, set[str]]:
    """Name -> those that end before it."""
    found: dict[str, set[str]] = {}
    for spec in specs:
        found.setdefault(spec.name, set())
        for name in before(spec):
            found.setdefault(name, set()).add(spec.name)
    return found


def longest_stop(specs: Sequence[WatcherSpec]) -> float:
    """Seconds before the last kill, if all are stopped and none leaves by itself: those of the longest chain."""
    by_name = {spec.name: spec for spec in specs}
    earlier = dependants(specs)
    found: dict[str, float] = {}
    for name in reversed(sequence(specs)):
        found[name] = patience(by_name[name]) + max((found[one] for one in earlier[name] if one in found), default=0.0)
    return max(found.values(), default=0.0)


def cycle(specs: Sequence[WatcherSpec]) -> list[str]:
    """The names around one of the cycles, the first one again at its end; none: an empty list."""
    by_name = {spec.name: spec for spec in specs}
    done: set[str] = set()
    for spec in specs:
        if found := _around(spec.name, by_name, done):
            return found
    return []


def _around(start: str, specs: Mapping[str, WatcherSpec], done: set[str]) -> list[str]:
    """A walk into the depth without recursion: a configuration may be a long chain."""
    path: dict[str, None] = {}
    ways: list[list[str]] = [[start]]
    while ways:
        if not ways[-1]:
            ways.pop()
            if path:
                done.add(path.popitem()[0])
            continue
        name = ways[-1].pop()
        if name in path:
            names = list(path)
            return [*names[names.index(name) :], name]
        if name in specs and name not in done:
            path[name] = None
            ways.append(sorted(before(specs[name]), reverse=True))
    return []


class Standing(enum.Enum):
    """What others may expect of a watcher."""

    READY = "ready"  # all its workers are, or have done what they were for
    COMING = "starting"
    AWAY = "not running"


class Obstacle(NamedTuple):
    """Why a watcher does not begin; `moving`: what it waits for is on its way, so the wait is no long one."""

    text: str
    moving: bool


TURN = Obstacle("its turn comes after warmup_delay", moving=True)


def standing(spec: WatcherSpec, wanted: bool, numprocesses: int, slots: Iterable[Slot]) -> Standing:
    """Of a watcher that is not held back."""
    if not wanted:
        return Standing.AWAY
    members = [slot for slot in slots if slot.wanted and slot.instead is None]
    if len(members) >= numprocesses and all(_is_good(spec, slot) for slot in members):
        return Standing.READY
    if any(slot.phase in (Phase.STARTING, Phase.STOPPING) for slot in members) or len(members) < numprocesses:
        return Standing.COMING
    return Standing.AWAY  # some have failed, or wait for another try


def obstacle(spec: WatcherSpec, others: Mapping[str, Standing]) -> Obstacle | None:
    """Whom `spec` waits for. A watcher that is not there is never ready."""
    for name in spec.requires:
        found = others.get(name, Standing.AWAY)
        if found is not Standing.READY:
            return Obstacle(f"requires {name}, which is {found.value}", found is Standing.COMING)
    for name in spec.after:
        if others.get(name) is Standing.COMING:
            return Obstacle(f"after {name}, which is {Standing.COMING.value}", moving=True)
    return None


def ended_for_good(wanted: bool, numprocesses: int, slots: Iterable[Slot]) -> int | None:
    """The exit code of a watcher none of whose workers will be back by itself: the last one's; None: it is not so."""
    members = [slot for slot in slots if slot.wanted]
    if not wanted or not members or len(members) < numprocesses:
        return None
    if any(slot.phase not in (Phase.DONE, Phase.FAILED) for slot in members):
        return None
    ends = [slot.last_exit for slot in members if slot.last_exit is not None]
    code = exit_code(max(ends, key=lambda end: end.at, default=None))
    return code or int(any(slot.phase is Phase.FAILED for slot in members))


def _is_good(spec: WatcherSpec, slot: Slot) -> bool:
    if slot.phase is Phase.DONE:
        return slot.last_exit is not None and is_success(spec, slot.last_exit)
    return slot.phase is Phase.READY and not slot.readiness.unwell
