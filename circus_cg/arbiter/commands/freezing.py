"""freeze, thaw: workers that stand still, and go on."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, keep, runners_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.slot import Slot
from circus_cg.core.watcher import can_freeze
from circus_cg.errors import HostError
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno


async def freeze(arbiter: Arbiter, asked: rpc.Freeze) -> Fields:
    """The lives that are there stand still until a thaw, a stop or a restart."""
    chosen = _chosen(arbiter, asked, "freeze")
    for runner, slots in chosen:
        for slot in slots:
            if not runner.group_of(slot.wid, slot.generation).can_freeze():
                raise HostError(
                    f"cannot freeze {runner.spec.name!r}: its groups are in no freezer here; mount cgroup2 beside v1"
                )
    lives = {runner.spec.name: {slot.wid: slot.generation for slot in slots} for runner, slots in chosen}
    keep(arbiter.intents.freeze, lives)
    for runner, slots in chosen:
        runner.freeze([slot.wid for slot in slots])
    return {"frozen": {runner.spec.name: [slot.wid for slot in slots] for runner, slots in chosen}}


async def thaw(arbiter: Arbiter, asked: rpc.Freeze) -> Fields:
    chosen = _chosen(arbiter, asked, "thaw")
    keep(arbiter.intents.thaw, {runner.spec.name: [slot.wid for slot in slots] for runner, slots in chosen})
    for runner, slots in chosen:
        runner.thaw([slot.wid for slot in slots])
    return {"thawed": {runner.spec.name: [slot.wid for slot in slots] for runner, slots in chosen}}


def _chosen(arbiter: Arbiter, asked: rpc.Freeze, verb: str) -> list[tuple[WatcherRunner, list[Slot]]]:
    """Raises BadMessage when nobody is meant: what was to stand still must not run on unnoticed."""
    if asked.name is None:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot {verb} every watcher at once: name some, or give '*'")
    runners = runners_of(arbiter, asked.name, asked.match)
    if (asked.wid is not None or asked.pid is not None) and len(runners) != 1:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot {verb} one worker of several watchers: name one")
    fits = can_freeze if verb == "freeze" else _is_frozen
    chosen = []
    for runner in runners:
        slots = [
            s for s in runner.slots.values() if fits(s) and asked.wid in (None, s.wid) and asked.pid in (None, s.pid)
        ]
        if slots:
            chosen.append((runner, sorted(slots, key=lambda slot: slot.wid)))
    if not chosen:
        names = ", ".join(runner.spec.name for runner in runners) or "no watcher"
        state = "running or waiting to start" if verb == "freeze" else "frozen"
        raise BadMessage(Errno.COMMAND_ERROR, f"cannot {verb} {names}: no such worker is {state}; `ps` shows them")
    return chosen


def _is_frozen(slot: Slot) -> bool:
    return slot.frozen
