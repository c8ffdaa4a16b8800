"""Ids and records of what happened: written where the state changes hands, once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from circus_cg.arbiter import because
from circus_cg.core.effects import Publish
from circus_cg.core.events import Event, Freeze, Thaw
from circus_cg.core.record import Record
from circus_cg.core.ring import Ring
from circus_cg.host import clock
from circus_cg.keeper.log import say

__all__ = ["Journal", "Record"]

KEPT = 10_000
LOUD = {"stuck": "error", "failed": "warning", "flapping": "warning"}  # kinds; all others are `info`
SETTLED = {"ready", "stopped", "failed"}  # kinds with which what was to be done with a slot is done


class Journal:
    """`listeners` are told of each record, in the loop's thread; they must not block. The last `kept` stay readable."""

    def __init__(self, *listeners: Callable[[Record], None], kept: int = KEPT) -> None:
        self.listeners = list(listeners)
        began = int(clock.wall() * 1_000_000)  # so that both increase over arbiter deaths too
        self._ids = count(began)
        self.ring: Ring[Record] = Ring(kept, began)
        self._roots: dict[tuple[str, int], int] = {}  # of slots with which something is to be done
        self._decided: deque[int] = deque(maxlen=64)  # ids that events may have, too

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
        settled = news.kind in SETTLED
        root = self._roots.pop((watcher, wid), 0) if settled else self._roots.get((watcher, wid), 0)
        self.write(
            Record(
                self.next_id(), news.cause, clock.wall(), watcher, wid,
                news.kind, news.detail, news.generation, news.pid, news.exit, root=root or self._root(watcher),
            )
        )  # fmt: skip

    def tell(self, watcher: str, kind: str, detail: str = "") -> int:
        """Of a whole watcher: what an operator decided, or came of it; the id, for what comes of this."""
        root, own = self._root(watcher), self.next_id()
        self.write(Record(own, root, clock.wall(), watcher, 0, kind, detail, root=root))
        return own

    def follow(self, watcher: str, wid: int, event: Event) -> None:
        """What becomes of the slot from now on is because of what goes on now, until it is settled; or of the decision
        that has the event's id.
        """
        if isinstance(event, Freeze | Thaw):
            return  # nothing more becomes of these
        if root := event.id if event.id in self._decided else self._root(watcher):
            self._roots[watcher, wid] = root

    def _root(self, watcher: str) -> int:
        """The id of the command or decision because of which things go on; the command's event is written by now."""
        match because.current():
            case None:
                return 0
            case int(decision):
                return decision
            case command:
                known = command.told.get(watcher)
                if known is None:
                    known = command.told[watcher] = self.next_id()
                    self.write(Record(known, 0, clock.wall(), watcher, 0, "asked", command.text))
                return known

    def decide(  # noqa: PLR0913 - they are a record's own
        self, watcher: str, wid: int | None, verdict: str, detail: str, inputs: Mapping[str, Any], *, cause: int = 0
    ) -> int:
        """What a policy decided by itself, of a worker or (None) of its watcher; the id, for what follows from it."""
        own = self.next_id()
        root = self._root(watcher)
        what = Record(
            own, cause, clock.wall(), watcher, wid or 0, "decision", detail, verdict=verdict, inputs=inputs, root=root
        )
        self.write(what)
        self._decided.append(own)
        return own
