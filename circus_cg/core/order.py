"""Who begins before whom, and ends after: by `after` and `requires`, and where these say nothing by `priority`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
