"""What can be asked of an arbiter: one table from a command's name to its request's type and what it does.

Independent of any wire: the control channel decodes into it, a program calls it in its own process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import change, count, lifecycle, options, reports, signals, stats
from circus_cg.arbiter.commands.target import Fields
from circus_cg.core.choice import nearest
from circus_cg.rpc import messages as rpc

__all__ = ["COMMANDS", "Command", "Commands", "Fields"]


class Command(NamedTuple):
    """`run` gets the arbiter and an `asks`; it must not block the loop."""

    asks: type[msgspec.Struct]
    run: Callable[[Arbiter, Any], Awaitable[Fields]]


COMMANDS: dict[str, Command] = {
    "add": Command(rpc.Add, change.add),
    "decr": Command(rpc.Count, count.decr),
    "dstats": Command(rpc.Nothing, stats.dstats),
    "get": Command(rpc.Get, options.options),
    "globaloptions": Command(rpc.GlobalOptions, options.globaloptions),
    "incr": Command(rpc.Count, count.incr),
    "kill": Command(rpc.Kill, lifecycle.kill),
    "list": Command(rpc.Which, reports.list_),
    "numprocesses": Command(rpc.OneOrAll, reports.numprocesses),
    "numwatchers": Command(rpc.Nothing, reports.numwatchers),
    "options": Command(rpc.Get, options.options),
    "ps": Command(rpc.Which, reports.ps),
    "quit": Command(rpc.Quit, lifecycle.quit_),
    "restart": Command(rpc.Target, lifecycle.restart),
    "rm": Command(rpc.Rm, change.rm),
    "set": Command(rpc.Set, change.set_),
    "signal": Command(rpc.Signal, signals.signal),
    "start": Command(rpc.Target, lifecycle.start),
    "stats": Command(rpc.Stats, stats.stats),
    "status": Command(rpc.Which, reports.status),
    "stop": Command(rpc.Target, lifecycle.stop),
    "wait": Command(rpc.Wait, lifecycle.wait),
}


class Commands:
    """Commands on different watchers never exclude each other; each runs to its end without waiting for another."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    async def run(self, command: str, properties: dict[str, Any]) -> Fields:
        """The answer's fields. Raises BadMessage, any other CircusCgError, OSError."""
        known = COMMANDS.get(command.lower())
        if known is None:
            guess = nearest(COMMANDS, command)
            hint = f"; did you mean {guess}?" if guess else ""
            raise rpc.BadMessage(rpc.Errno.UNKNOWN_COMMAND, f"unknown command: {command[:64]!r}{hint}")
        return await known.run(self._arbiter, rpc.properties(command, known.asks, properties))
