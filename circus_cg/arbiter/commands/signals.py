"""signal: to every worker of a watcher, or to one by wid or pid."""

from __future__ import annotations

from signal import Signals

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of
from circus_cg.keeper.messages import Key
from circus_cg.rpc import messages as rpc
from circus_cg.units import signal_number


async def signal(arbiter: Arbiter, asked: rpc.Signal) -> Fields:
    runner = runner_of(arbiter, asked.name)
    try:
        signum = signal_number(asked.signum)
    except ValueError as wrong:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot signal {asked.name!r}: {wrong}") from wrong
    chosen = [
        slot
        for slot in runner.slots.values()
        if slot.alive and slot.pid is not None and asked.wid in (None, slot.wid) and asked.pid in (None, slot.pid)
    ]
    if not chosen:
        raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, f"cannot signal {asked.name!r}: no such worker is running")
    for slot in chosen:
        arbiter.signal(Key(asked.name, slot.wid, slot.generation), signum)
    return {
        "signalled": [slot.pid for slot in chosen],
        "signal": Signals(signum).name if signum in set(Signals) else signum,
    }
