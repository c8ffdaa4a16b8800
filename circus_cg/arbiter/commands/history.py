"""history, why: what happened, from the disk where it is kept, else as far as the ring holds it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.events import KINDS, MOST, meant, refuse_unknown
from circus_cg.arbiter.commands.target import Fields
from circus_cg.core.choice import nearest
from circus_cg.core.record import Record, document
from circus_cg.core.wanted import Wanted
from circus_cg.core.why import chains
from circus_cg.host import clock
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno

LOOKED_AT = 5000  # events of one watcher, for its chains
AT_ONCE = 2000  # of the ring, before the loop gets its turn


async def history(arbiter: Arbiter, asked: rpc.History) -> Fields:
    """`events`, or with `usage` samples, oldest first; the last `limit` of those that are meant."""
    if not 0 < asked.limit <= MOST:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot give {asked.limit} at once: 1 to {MOST}")
    refuse_unknown(asked.kinds, KINDS | {"lost"})
    means = meant(asked.name, asked.match)
    kept = arbiter.history
    if kept is None:
        text = "cannot tell the history: none is kept here (history.age is 0, or a program runs the workers itself)"
        raise BadMessage(Errno.COMMAND_ERROR, text)
    every = asked.name is None and arbiter.sees_all
    since = clock.wall() - asked.ago if asked.ago is not None else asked.since
    async with arbiter.looking_back:
        names = None if every else [name for name in await kept.watchers() if arbiter.sees(name) and means(name)]
        wanted = Wanted(names, None, asked.kinds, since, asked.until, asked.limit)
        return {"usage": await kept.usage(wanted)} if asked.usage else {"events": await kept.events(wanted)}


async def why(arbiter: Arbiter, asked: rpc.Why) -> Fields:
    """`chains`: the last `limit`, oldest first; `kept`: from the disk, so also from before this arbiter."""
    if not 0 < asked.limit <= MOST:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot give {asked.limit} chains: 1 to {MOST}")
    kept = arbiter.history
    async with arbiter.looking_back:
        name, wid = await _known(arbiter, asked)
        if kept is None:
            events = await _of_the_ring(arbiter, lambda record: record.watcher == name)
        else:
            events = await kept.events(Wanted(watchers=[name], limit=LOOKED_AT))
        found = await asyncio.to_thread(chains, events, wid)
    return {
        "watcher": name,
        "wid": wid,
        "kept": kept is not None,
        "chains": [chain.document() for chain in found[-asked.limit :]],
    }


async def _known(arbiter: Arbiter, asked: rpc.Why) -> tuple[str, int | None]:
    """Watcher and worker; one that is there, or was. Raises BadMessage."""
    names = list(arbiter.runners)
    for more in (False, True):
        if more and arbiter.history is not None:
            names += [name for name in await arbiter.history.watchers() if name and arbiter.sees(name)]
        if name := next(filter(meant(asked.name, "simple"), names), None):
            return name, asked.wid
        first, _, wid = asked.name.rpartition(".")
        if wid.isdecimal() and len(wid) < 10 and (name := next(filter(meant(first, "simple"), names), None)):
            return name, int(wid)
    guess = nearest(names, asked.name)
    hint = f"did you mean {guess}?" if guess else f"watchers here: {', '.join(sorted(names)[:20]) or 'none'}"
    raise BadMessage(Errno.COMMAND_ERROR, f"program {asked.name[:64]} not found; {hint}")


async def _of_the_ring(arbiter: Arbiter, wanted: Callable[[Record], bool]) -> list[dict[str, Any]]:
    ring, offset = arbiter.journal.ring, clock.wall_offset()
    found: deque[Record] = deque(maxlen=LOOKED_AT)
    place = ring.oldest
    while place < ring.next:
        place = max(place, ring.oldest)
        for number, record in ring.read(place, AT_ONCE):
            place = number + 1
            if wanted(record):
                found.append(record)
        await arbiter.pace.rest()
    return [document(record, offset) for record in found]
