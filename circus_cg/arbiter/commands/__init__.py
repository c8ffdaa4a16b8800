"""What can be asked of an arbiter: one table from a command's name to its request's type and what it does.

Independent of any wire: the control channel decodes into it, a program calls it in its own process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import (
    change,
    count,
    diff,
    events,
    exec,
    foreign,
    freezing,
    inside,
    lifecycle,
    options,
    reload,
    reports,
    signals,
    stats,
)
from circus_cg.arbiter.commands.target import Fields
from circus_cg.arbiter.feed import Push
from circus_cg.core.choice import nearest
from circus_cg.rpc import messages as rpc

__all__ = ["COMMANDS", "Command", "Commands", "Fields"]


class Command(NamedTuple):
    """`run` gets the arbiter and an `asks`; it must not block the loop."""

    asks: type[msgspec.Struct]
    run: Callable[..., Awaitable[Fields]]
    streams: bool = False  # `run` gets too how to tell its asker more later; None: the asker can't be told


COMMANDS: dict[str, Command] = {
    "add": Command(rpc.Add, change.add),
    "debug": Command(rpc.Nothing, inside.debug),
    "decr": Command(rpc.Count, count.decr),
    "diff": Command(rpc.Nothing, diff.diff),
    "dstats": Command(rpc.Nothing, stats.dstats),
    "events": Command(rpc.Events, events.events, streams=True),
    "exec": Command(rpc.Exec, exec.exec_),
    "freeze": Command(rpc.Freeze, freezing.freeze),
    "get": Command(rpc.Get, options.options),
    "globaloptions": Command(rpc.GlobalOptions, options.globaloptions),
    "incr": Command(rpc.Count, count.incr),
    "ipython": Command(rpc.Anything, foreign.ipython),
    "kill": Command(rpc.Kill, lifecycle.kill),
    "list": Command(rpc.Which, reports.list_),
    "listen": Command(rpc.Anything, foreign.listen),
    "listsockets": Command(rpc.Nothing, foreign.listsockets),
    "loglevel": Command(rpc.Level, inside.loglevel),
    "numprocesses": Command(rpc.OneOrAll, reports.numprocesses),
    "numwatchers": Command(rpc.Nothing, reports.numwatchers),
    "options": Command(rpc.Get, options.options),
    "ps": Command(rpc.Which, reports.ps),
    "quit": Command(rpc.Quit, lifecycle.quit_),
    "reload": Command(rpc.Reload, reload.reload),
    "reloadconfig": Command(rpc.ReloadConfig, reload.reloadconfig),
    "restart": Command(rpc.Target, lifecycle.restart),
    "rm": Command(rpc.Rm, change.rm),
    "set": Command(rpc.Set, change.set_),
    "signal": Command(rpc.Signal, signals.signal),
    "start": Command(rpc.Target, lifecycle.start),
    "stats": Command(rpc.Stats, stats.stats),
    "status": Command(rpc.Which, reports.status),
    "stop": Command(rpc.Target, lifecycle.stop),
    "thaw": Command(rpc.Freeze, freezing.thaw),
    "wait": Command(rpc.Wait, lifecycle.wait),
}


class Commands:
    """Commands on different watchers never exclude each other; each runs to its end without waiting for another."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    async def run(self, command: str, properties: dict[str, Any], push: Push | None = None) -> Fields:
        """The answer's fields. Raises BadMessage, any other CircusCgError, OSError."""
        known = COMMANDS.get(command.lower())
        if known is None:
            guess = nearest(COMMANDS, command)
            hint = f"; did you mean {guess}?" if guess else ""
            raise rpc.BadMessage(rpc.Errno.UNKNOWN_COMMAND, f"unknown command: {command[:64]!r}{hint}")
        asked = rpc.properties(command, known.asks, properties)
        return await (known.run(self._arbiter, asked, push) if known.streams else known.run(self._arbiter, asked))
