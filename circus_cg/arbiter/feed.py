"""Who is told of events over the control channel, and of usage. A subscription costs its entry, whoever holds it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from circus_cg.arbiter.sampler import LEAST, Listener, Sample
from circus_cg.core.access import LOCAL, Caller
from circus_cg.core.record import Record, document
from circus_cg.core.subscription import Subscription
from circus_cg.host import clock
from circus_cg.rpc import messages as rpc

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

LEASE = 30.0  # seconds; who grants nothing for so long is gone
MOST = 256  # subscriptions at the same time
MOST_OF_ONE = 32  # of one key; and so many of all are left to who is here

Push = Callable[[bytes], bool]  # to one client, without waiting; False: it can't be told any more


class Asker(NamedTuple):
    caller: Caller
    push: Push


class Held(msgspec.Struct, eq=False):
    caller: Caller
    subscription: Subscription
    push: Push
    lease: float  # until when
    stats: Listener | None
    unsampled: int = 0  # samples left out for want of credit


class Feed:
    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._held: dict[str, Held] = {}
        self._flushing = False
        self._sweep: asyncio.TimerHandle | None = None
        arbiter.journal.listeners.append(self._on_record)

    @property
    def subscriptions(self) -> int:
        return len(self._held)

    def open(
        self, asker: Asker, wants: Callable[[str], bool], kinds: frozenset[str] | None, asked: rpc.Events
    ) -> dict[str, Any]:
        """Raises BadMessage when there are too many. The answer leaves before the first batch."""
        self._refuse_too_many(asker.caller)
        ring = self._arbiter.journal.ring
        start = ring.next - 1 if asked.since is None else asked.since

        def wanted(record: Record) -> bool:
            return wants(record.watcher) and (kinds is None or record.kind in kinds)

        subscription = Subscription(wanted, start + 1, 0)
        subscription.grant(asked.credit)
        name = os.urandom(16).hex()  # whoever knows it may grant and end: it must not be guessed
        held = self._held[name] = Held(asker.caller, subscription, asker.push, clock.now() + LEASE, None)
        if asked.stats is not None:
            held.stats = Listener(wants, max(LEAST, asked.stats), lambda sample: self._on_sample(name, sample))
            self._arbiter.sampler.add(held.stats)
        self._flush_soon()
        self._sweep_later()
        return {"subscription": name, "next": ring.next, "lease": LEASE}

    def _refuse_too_many(self, caller: Caller) -> None:
        """Whoever may look must not keep others from it, the operator here above all."""
        callers = [held.caller for held in self._held.values()]
        room = MOST if caller == LOCAL else MOST - MOST_OF_ONE
        if len(callers) >= room:
            text = f"cannot subscribe: {len(callers)} subscriptions are held already"
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, text)
        if caller != LOCAL and sum(one.name == caller.name for one in callers) >= MOST_OF_ONE:
            text = f"cannot subscribe: key {caller.name!r} holds {MOST_OF_ONE} subscriptions already; end one"
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, text)

    def grant(self, name: str, credit: int) -> int:
        """The `seq` up to which all that was wanted has been sent. Raises BadMessage for one that has ended."""
        held = self._held.get(name)
        if held is None:
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, "no such subscription: it has ended; subscribe again")
        held.lease = clock.now() + LEASE
        held.subscription.grant(credit)
        self._flush_soon()
        return held.subscription.next - 1

    def close(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None and held.stats is not None:
            self._arbiter.sampler.remove(held.stats)

    def _on_record(self, record: Record) -> None:
        if self._held:
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Once a turn: what happens together leaves together."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        for name, held in list(self._held.items()):
            batch = held.subscription.take(self._arbiter.journal.ring)
            if batch is None:
                continue
            if batch.records or batch.lost != 0:
                offset = clock.wall_offset()
                events = [document(record, offset) for record in batch.records]
                if not held.push(rpc.events(name, events, batch.lost, batch.seq)):
                    self.close(name)
                    continue
            if batch.more:
                self._flush_soon()

    def _on_sample(self, name: str, sample: Sample) -> None:
        """A sample costs a credit for each worker in it and one more; without any it is left out: the next is as good.

        It is sent whole for the least credit, which may leave a debt.
        """
        held = self._held.get(name)
        if held is None:
            return
        if held.subscription.credit <= 0:
            held.unsampled += 1
            return
        held.subscription.credit -= 1 + sum(len(found["workers"]) for found in sample.values())
        left_out, held.unsampled = held.unsampled, 0
        if not held.push(rpc.sample(name, clock.wall(), sample, left_out)):
            self.close(name)

    def _sweep_later(self) -> None:
        if self._sweep is None and self._held:
            due = min(held.lease for held in self._held.values())
            self._sweep = asyncio.get_running_loop().call_at(due, self._on_lease)

    def _on_lease(self) -> None:
        self._sweep, now = None, clock.now()
        for name in [name for name, held in self._held.items() if held.lease <= now]:
            self.close(name)
        self._sweep_later()
