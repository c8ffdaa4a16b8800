"""What can be asked of an arbiter: one table from a command's name to its request's type and what it does.

Independent of any wire: the control channel decodes into it, a program calls it in its own process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import count, lifecycle, reports, signals
from circus_cg.arbiter.commands.target import Fields
from circus_cg.rpc import messages as rpc

__all__ = ["COMMANDS", "Command", "Commands", "Fields"]


class Command(NamedTuple):
    """`run` gets the arbiter and an `asks`; it must not block the loop."""

    asks: type[msgspec.Struct]
    run: Callable[[Arbiter, Any], Awaitable[Fields]]


COMMANDS: dict[str, Command] = {
    "decr": Command(rpc.Count, count.decr),
    "incr": Command(rpc.Count, count.incr),
    "ps": Command(rpc.Name, reports.ps),
    "quit": Command(rpc.Quit, lifecycle.quit_),
    "restart": Command(rpc.Target, lifecycle.restart),
    "signal": Command(rpc.Signal, signals.signal),
    "start": Command(rpc.Target, lifecycle.start),
    "status": Command(rpc.Name, reports.status),
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
            raise rpc.BadMessage(rpc.Errno.UNKNOWN_COMMAND, f"unknown command: {command!r}")
        return await known.run(self._arbiter, rpc.properties(command, known.asks, properties))
