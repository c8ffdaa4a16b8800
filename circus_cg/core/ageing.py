"""When a worker is old: max_age, and by chance up to max_age_variance more, so that its siblings don't go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from circus_cg.core.replacement import again
from circus_cg.core.state import Phase, Slot
from circus_cg.spec import WatcherSpec

Life = tuple[int, int]  # wid, generation


def due(spec: WatcherSpec, slot: Slot) -> float:
    """When this life is old; it was dealt its chance when it began. Time does not count for who stands still."""
    if spec.max_age <= 0 or slot.phase is not Phase.READY or slot.started is None or slot.frozen or slot.instead:
        return inf
    return slot.started + spec.max_age + spec.max_age_variance * slot.luck


def old(spec: WatcherSpec, slots: Iterable[Slot], asked: Mapping[Life, float], now: float) -> tuple[list[Life], float]:
    """Whom to replace now, the oldest first, and when to look again. `asked`: for whom that was asked, and when."""
    pause = again(spec)
    found: list[tuple[float, Life]] = []
    following = inf
    for slot in slots:
        life = slot.wid, slot.generation
        at = due(spec, slot)
        if life in asked:
            at = max(at, asked[life] + pause)
        if at <= now:
            found.append((at, life))
            at = now + pause
        following = min(following, at)
    return [life for _, life in sorted(found)], following
