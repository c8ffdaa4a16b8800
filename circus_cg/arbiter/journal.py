"""Ids and records of what happened: written where the state changes hands, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

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
        kind = f"{record.kind} {record.verdict}" if record.verdict else record.kind
        what = f"{worker} {kind}: {record.detail}" if record.detail else f"{worker} {kind}"
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

    def decide(
        self, watcher: str, wid: int | None, verdict: str, detail: str, inputs: Mapping[str, Any], cause: int = 0
    ) -> int:
        """What a policy decided by itself, of a worker or (None) of its watcher; the id, for what follows from it."""
        own = self.next_id()
        what = Record(own, cause, clock.wall(), watcher, wid or 0, "decision", detail, verdict=verdict, inputs=inputs)
        self.write(what)
        return own
