"""What happened, told only when somebody asks: a long play writes millions of lines that nobody reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from circus_cg.core.effects import Effect
from circus_cg.core.events import Event
from circus_cg.core.state import Phase
from tests.simulation.host import Place

LINES = 20_000  # kept; of a longer play the last


class Happened(NamedTuple):
    now: float
    place: Place
    before: Phase
    after: Phase
    event: Event
    effects: tuple[Effect, ...]

    def __str__(self) -> str:
        return f"{self.now:9.2f} {self.place} {self.before} -> {self.after}: {self.event} {self.effects}"


class Story:
    def __init__(self) -> None:
        self._lines: deque[Happened | str] = deque(maxlen=LINES)

    def append(self, line: Happened | str) -> None:
        self._lines.append(line)

    def __iter__(self) -> Iterator[str]:
        return map(str, self._lines)

    def last(self, lines: int) -> list[str]:
        return list(self)[-lines:]
