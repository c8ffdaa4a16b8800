"""Which events a slot can meet in which phase. What is told of a life may be told twice, or late: that meets all."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from circus_cg.core import events as ev
from circus_cg.core.state import Phase

Pair = tuple[Phase, type[ev.Event]]
Met = Counter[Pair]

EVENTS: tuple[type[ev.Event], ...] = get_args(ev.Event)
PHASES = tuple(Phase)

_NEVER: tuple[tuple[type[ev.Event], tuple[Phase, ...], str], ...] = (
    (ev.Start, (Phase.STARTING,), "it goes to who is not wanted, waits, has given up or takes another's place"),
    (ev.Stop, (Phase.IDLE,), "it goes to who is wanted"),
    (ev.Restart, (Phase.IDLE,), "it goes to who is wanted; the others get a Start"),
    (
        ev.Refused,
        (Phase.IDLE, Phase.READY, Phase.BACKOFF, Phase.FAILED, Phase.DONE),
        "it answers the spawn in flight, and who waits for that is starting or was asked to stop",
    ),
    (
        ev.Told,
        (Phase.IDLE, Phase.BACKOFF, Phase.FAILED, Phase.DONE),
        "what a life said is read before its exit is heard, and nothing after that",
    ),
    (ev.DeadlineReached, (Phase.IDLE, Phase.FAILED, Phase.DONE), "who is at rest has no deadline"),
    (ev.Emptied, (Phase.STARTING, Phase.READY), "a group is looked at once its worker is gone"),
)
IMPOSSIBLE: dict[Pair, str] = {(phase, event): why for event, phases, why in _NEVER for phase in phases}
POSSIBLE: frozenset[Pair] = frozenset((p, e) for p in PHASES for e in EVENTS) - IMPOSSIBLE.keys()


def table(met: Met) -> str:
    """One line an event, one column a phase; `-`: can't happen, with the reasons below."""
    head = f"{'':<16}" + "".join(f"{phase:>12}" for phase in PHASES)
    rows = [f"{event.__name__:<16}" + "".join(_cell(met, (phase, event)) for phase in PHASES) for event in EVENTS]
    notes = [f"- {event.__name__} ({', '.join(phases)}): {why}" for event, phases, why in _NEVER]
    return "\n".join([head, *rows, "", *notes])


def _cell(met: Met, pair: Pair) -> str:
    return f"{'-':>12}" if pair in IMPOSSIBLE and not met[pair] else f"{met[pair]:>12}"
