"""What one listener gets and when: it has a place in the ring and a credit, and no queue of its own.

Whoever is slow or gone costs nothing but its entry; when the ring has gone past its place, the next batch says how many
records it missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from circus_cg.core.record import Record
from circus_cg.core.ring import Ring

BATCH = 128  # records a message
SCAN = 2000  # records looked at in one turn
MOST_CREDIT = 5000


class Batch(NamedTuple):
    records: list[Record]
    lost: int | None  # records of the ring, wanted or not, that were gone before they could be read; None: unknown
    seq: int  # the last one that was looked at: where `since` goes on
    more: bool  # there may be more to take at once


class Subscription(msgspec.Struct):
    wanted: Callable[[Record], bool]
    next: int  # number of the record to look at next
    credit: int  # records it may still be sent
    lost: int | None = 0  # known since the subscription, not told yet

    def grant(self, credit: int) -> None:
        self.credit = min(MOST_CREDIT, self.credit + credit)

    def take(self, ring: Ring[Record]) -> Batch | None:
        """None: nothing to send, or no credit to send it for. A batch that only tells of a loss costs one."""
        if self.credit <= 0:
            return None
        start = ring.after(self.next - 1)
        lost = None if self.lost is None or start.lost is None else self.lost + start.lost
        records: list[Record] = []
        place = start.next
        for number, record in ring.read(start.next, SCAN):
            place = number + 1
            if self.wanted(record):
                records.append(record)
                if len(records) >= min(self.credit, BATCH):
                    break
        self.next = place
        if not records and lost == 0:
            return Batch([], 0, place - 1, True) if place < ring.next else None
        self.credit -= max(1, len(records))
        self.lost = 0
        return Batch(records, lost, place - 1, place < ring.next)
