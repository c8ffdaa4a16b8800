"""Limits that would be below what is used already: the kernel would take it by reclaim, or by killing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from circus_cg.spec import Limits, WatcherSpec
from circus_cg.units import format_bytes


class Used(NamedTuple):
    """By one worker's group, or by that of the watcher. None: not told."""

    who: str
    memory: int | None = None  # bytes
    pids: int | None = None


_BYTES, _COUNT = ("memory_max", "memory_high"), ("pids_max",)


def too_tight(old: WatcherSpec, new: WatcherSpec, workers: Iterable[Used], together: Used) -> list[str]:
    """One line for each limit that shrinks below what somebody uses; the greediest is named."""
    return [
        *_below("limits", old.limits, new.limits, list(workers)),
        *_below("watcher_limits", old.watcher_limits, new.watcher_limits, [together]),
    ]


def _below(which: str, old: Limits, new: Limits, users: list[Used]) -> Iterator[str]:
    for name in (*_BYTES, *_COUNT):
        was, will = getattr(old, name), getattr(new, name)
        if will is None or will >= (math.inf if was is None else was):
            continue
        used = [(one.memory if name in _BYTES else one.pids, one.who) for one in users]
        most, who = max(((use, who) for use, who in used if use is not None), default=(0, ""))
        if most > will:
            shown = format_bytes if name in _BYTES else str
            yield f"{which}.{name} of {shown(will)} is below the {shown(most)} that {who} uses"
