"""New lives one after the other: each worker is ready, and passes its checks, before the next one is asked to leave."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from circus_cg.arbiter.intent import keep
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.slot import Phase, Slot
from circus_cg.keeper.log import say

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter


async def roll(arbiter: Arbiter, runner: WatcherRunner, lives: dict[int, int] | None = None) -> str | None:
    """These lives (wid -> generation), or all there are when its turn has come, are replaced; None, or why not all.

    The first new life that is not ready ends it: the workers that are left stay. One at a time in a watcher.
    """
    async with runner.rolling:
        name = runner.spec.name
        lives = runner.lives() if lives is None else lives
        keep(arbiter.intents.roll, name, lives)
        left = dict(sorted(lives.items()))
        trouble = None
        while left and trouble is None:
            wid = next(iter(left))
            trouble = await _renewed(runner, wid, left.pop(wid))
        keep(arbiter.intents.roll, name, {})
        if trouble is None:
            return None
        rest = f"; {len(left)} workers keep the life they had" if left else ""
        text = f"cannot reload {name!r} further: {trouble}{rest}"
        say("arbiter", text)
        return text


async def _renewed(runner: WatcherRunner, wid: int, generation: int) -> str | None:
    """None: replaced, or nothing to replace any more. Else what became of the new life."""

    def decided() -> bool:
        slot = runner.slots.get(wid)
        if slot is None or not slot.wanted:
            return True
        return slot.generation != generation and slot.phase not in (Phase.STARTING, Phase.STOPPING)

    runner.renew({wid: generation})
    slot = runner.slots.get(wid)
    if slot is None or (slot.generation == generation and not slot.asked):
        return None  # it is on no way out: not wanted, or gone already
    await runner.settled(decided)
    slot = runner.slots.get(wid)
    if slot is not None and slot.wanted and slot.phase is Phase.READY and not slot.serving:
        slot = await _served(runner, slot)
    if slot is None or not slot.wanted or slot.serving:
        return None
    if slot.phase is Phase.READY:
        return f"worker {wid} is up and does not pass {', '.join(slot.readiness.unwell) or 'its own end'}"
    return f"worker {wid} is in {slot.phase}: {slot.last_exit}"


async def _served(runner: WatcherRunner, slot: Slot) -> Slot | None:
    """That slot when it serves, or its life is over; it has as long for its checks as it had to become ready."""

    def decided() -> bool:
        now = runner.slots.get(slot.wid)
        return now is None or now.generation != slot.generation or now.phase is not Phase.READY or now.serving

    with suppress(TimeoutError):
        async with asyncio.timeout(runner.spec.start_timeout):
            await runner.settled(decided)
    return runner.slots.get(slot.wid)
