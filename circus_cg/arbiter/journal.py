"""Ids and records of what happened: written where the state changes hands, once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from circus_cg.core.effects import Publish
from circus_cg.core.record import Record
from circus_cg.core.ring import Ring
from circus_cg.host import clock
from circus_cg.keeper.log import say

__all__ = ["Journal", "Record"]

KEPT = 10_000
LOUD = {"stuck": "error", "failed": "warning", "flapping": "warning"}  # kinds; all others are `info`


class Journal:
    """`listeners` are told of each record, in the loop's thread; they must not block. The last `kept` stay readable."""

    def __init__(self, *listeners: Callable[[Record], None], kept: int = KEPT) -> None:
        self.listeners = list(listeners)
        began = int(clock.wall() * 1_000_000)  # so that both increase over arbiter deaths too
        self._ids = count(began)
        self.ring: Ring[Record] = Ring(kept, began)

    def next_id(self) -> int:
        return next(self._ids)

    def write(self, record: Record) -> None:
        """Its `seq` is put in here."""
        numbered = record._replace(seq=self.ring.next)
        self.ring.append(numbered)
        worker = f"{record.watcher}.{record.wid}" if record.wid else record.watcher
        what = f"{worker} {record.kind}: {record.detail}" if record.detail else f"{worker} {record.kind}"
        say("arbiter", f"{what} [{record.id} because {record.cause}]", LOUD.get(record.kind, "info"))
        for listener in self.listeners:
            listener(numbered)

    def publish(self, watcher: str, wid: int, news: Publish) -> None:
        """What the core wants known of one slot."""
        self.write(
            Record(
                self.next_id(), news.cause, clock.wall(), watcher, wid,
                news.kind, news.detail, news.generation, news.pid, news.exit,
            )
        )  # fmt: skip

    def tell(self, watcher: str, kind: str, detail: str = "") -> None:
        """Of a whole watcher: what an operator decided, or came of it."""
        self.write(Record(self.next_id(), 0, clock.wall(), watcher, 0, kind, detail))
