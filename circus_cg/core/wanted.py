"""Which of the events that are kept somebody wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Wanted(NamedTuple):
    """`watchers`, `kinds` None: all; instants in seconds since the epoch, they themselves included."""

    watchers: Sequence[str] | None = None
    wid: int | None = None
    kinds: Sequence[str] | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 1000  # the last ones
