"""events: what happened, from the ring; and what happens, to who subscribes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import get_args

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields
from circus_cg.arbiter.feed import Asker
from circus_cg.arbiter.sampler import LEAST
from circus_cg.core.choice import meaning, nearest
from circus_cg.core.effects import Kind
from circus_cg.core.record import Record, document
from circus_cg.core.subscription import MOST_CREDIT, SCAN
from circus_cg.host import clock
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno

_OF_A_WATCHER = frozenset(
    {"add", "start", "reload", "change", "replace", "stop", "stopped", "remove", "removed", "asked", "refused"}
)
KINDS = frozenset(get_args(Kind)) | _OF_A_WATCHER | {"decision"}
MOST = 10_000  # events in one answer
TOLD_AT_ONCE = 50  # a fraction of a millisecond
SLOWEST = 3600.0  # seconds between two samples


async def events(arbiter: Arbiter, asked: rpc.Events, asker: Asker | None) -> Fields:
    if asked.subscription is not None:
        return _go_on(arbiter, asked, asked.subscription)
    kinds = None if asked.kinds is None else frozenset(asked.kinds)
    refuse_unknown(asked.kinds, KINDS)
    means = meant(asked.name, asked.match)

    def wants(watcher: str) -> bool:
        return arbiter.sees(watcher) and means(watcher)

    if not asked.follow:
        if not 0 < asked.limit <= MOST:
            raise BadMessage(Errno.BAD_MSG_DATA, f"cannot give {asked.limit} events at once: 1 to {MOST}")
        return await _kept(arbiter, asked, lambda record: wants(record.watcher) and (not kinds or record.kind in kinds))
    if asker is None:
        raise BadMessage(Errno.COMMAND_ERROR, "cannot subscribe here: a program listens with `on_event` or `events()`")
    if asked.stats is not None and not LEAST <= asked.stats <= SLOWEST:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot sample each {asked.stats:g} s: {LEAST} to {SLOWEST:g} seconds")
    _refuse_credit(asked)
    return arbiter.feed.open(asker, wants, kinds, asked)


def refuse_unknown(kinds: list[str] | None, known: Collection[str]) -> None:
    """Raises BadMessage."""
    if unknown := sorted(set(kinds or ()) - set(known)):
        guess = nearest(known, unknown[0])
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(sorted(known))}"
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot give events of the kind {unknown[0][:64]!r}; {hint}")


def meant(names: rpc.Names, match: rpc.Match) -> Callable[[str], bool]:
    """Whether a watcher's name is. Raises BadMessage."""
    try:
        return meaning([names] if isinstance(names, str) else names, match)
    except ValueError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot find a watcher: {wrong}") from wrong


def _go_on(arbiter: Arbiter, asked: rpc.Events, subscription: str) -> Fields:
    if asked.end:
        arbiter.feed.close(subscription)
        return {}
    _refuse_credit(asked)
    return {"seq": arbiter.feed.grant(subscription, asked.credit)}


def _refuse_credit(asked: rpc.Events) -> None:
    if not 0 <= asked.credit <= MOST_CREDIT:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot take a credit of {asked.credit}: 0 to {MOST_CREDIT}")


async def _kept(arbiter: Arbiter, asked: rpc.Events, wanted: Callable[[Record], bool]) -> Fields:
    """With `since` the first ones after it, to be asked on from `seq`; without it the last ones."""
    ring = arbiter.journal.ring
    begin, lost = (ring.oldest, 0) if asked.since is None else ring.after(asked.since)
    found: deque[Record] = deque(maxlen=asked.limit)
    place = begin
    while place < ring.next:
        place = max(place, ring.oldest)
        for number, record in ring.read(place, SCAN):
            place = number + 1
            if wanted(record):
                found.append(record)
                if asked.since is not None and len(found) == asked.limit:
                    break
        if asked.since is not None and len(found) == asked.limit:
            break
        await arbiter.pace.rest()
    offset = clock.wall_offset()
    told = []
    for number, record in enumerate(found):
        told.append(document(record, offset))
        if number % TOLD_AT_ONCE == 0:
            await arbiter.pace.rest()
    return {"events": told, "lost": lost, "seq": place - 1}
