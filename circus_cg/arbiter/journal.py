"""Ids and records of what happened: written where the state changes hands, once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from circus_cg.host import clock
from circus_cg.keeper.log import say


class Record(NamedTuple):
    """`cause` is the id of the record that led to this one; 0 begins a chain."""

    id: int
    cause: int
    at: float  # wall clock, seconds
    watcher: str
    wid: int
    kind: str
    detail: str


class Journal:
    """`listeners` are told of each record, in the loop's thread; they must not block."""

    def __init__(self, *listeners: Callable[[Record], None]) -> None:
        self.listeners = list(listeners)
        self._ids = count(int(clock.wall() * 1_000_000))  # increasing over arbiter deaths too

    def next_id(self) -> int:
        return next(self._ids)

    def write(self, record: Record) -> None:
        worker = f"{record.watcher}.{record.wid}" if record.wid else record.watcher
        say("arbiter", f"{worker} {record.kind}: {record.detail} [{record.id} because {record.cause}]")
        for listener in self.listeners:
            listener(record)
