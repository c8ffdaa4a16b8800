"""signal: to workers, to what they forked, or to all that is in their groups."""

from __future__ import annotations

from signal import Signals

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of, workers_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.slot import Slot
from circus_cg.host import processes
from circus_cg.rpc import messages as rpc
from circus_cg.units import signal_number


async def signal(arbiter: Arbiter, asked: rpc.Signal) -> Fields:
    runner = runner_of(arbiter, asked.name)
    child = asked.childpid if asked.childpid is not None else asked.child_pid
    try:
        signum = signal_number(asked.signum)
    except ValueError as wrong:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot signal {asked.name!r}: {wrong}") from wrong
    if child is not None and asked.pid is None and asked.wid is None:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, "cannot signal a child alone: give its worker's pid or wid too")
    chosen = workers_of(runner, asked.wid, asked.pid, "signal")
    told: list[int] = []
    for slot in chosen:
        told += _to_worker(runner, slot, signum, asked, child)
    if not told:
        who = f"process {child}" if child is not None else "child"
        raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, f"cannot signal {asked.name!r}: no such {who} in its groups")
    return {"signalled": told, "signal": Signals(signum).name if signum in set(Signals) else signum}


def _to_worker(runner: WatcherRunner, slot: Slot, signum: int, asked: rpc.Signal, child: int | None) -> list[int]:
    """Whom it went to. The main process is the keeper's child, and signalled by it; all else by pidfd."""
    assert slot.pid is not None
    if child is None and not (asked.children or asked.recursive or asked.group):
        runner.signal(slot, signum)
        return [slot.pid]
    group = runner.group_of(slot.wid, slot.generation)
    members = group.members()
    if child is not None:
        wanted = [child] if child in processes.below(slot.pid, members, recursive=True) else []
    elif asked.group:
        wanted = [pid for pid in members if pid != slot.pid]
    else:
        wanted = processes.below(slot.pid, members, recursive=asked.recursive)
    told = []
    if child is None and not asked.children:
        runner.signal(slot, signum)
        told.append(slot.pid)
    return told + processes.send(wanted, signum, group.members)
