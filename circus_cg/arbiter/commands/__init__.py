"""What can be asked of an arbiter: one table from a command's name to its request's type and what it does.

Independent of any wire: the control channel decodes into it, a program calls it in its own process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import (
    asking,
    change,
    count,
    diff,
    events,
    exec,
    foreign,
    freezing,
    history,
    inside,
    lifecycle,
    options,
    reload,
    reports,
    signals,
    stats,
)
from circus_cg.arbiter.commands.target import Fields
from circus_cg.arbiter.feed import Asker, Push
from circus_cg.arbiter.view import View
from circus_cg.core.access import LOCAL, Caller, Role
from circus_cg.core.choice import nearest
from circus_cg.rpc import messages as rpc

__all__ = ["COMMANDS", "Command", "Commands", "Fields"]


class Command(NamedTuple):
    """`run` gets the arbiter, as far as the caller sees it, and an `asks`; it must not block the loop.

    One that waits for nothing is a plain function: its answer needs no task.
    """

    asks: type[msgspec.Struct]
    run: Callable[..., Fields | Awaitable[Fields]]
    role: Role  # at least, to be allowed it
    streams: bool = False  # `run` gets too how to tell its asker more later; None: the asker can't be told

    @property
    def names_watchers(self) -> bool:
        """Others concern the whole daemon: they are not for a caller that sees some of its watchers alone."""
        return "name" in self.asks.__struct_fields__


OBSERVE, OPERATE, ADMIN = Role


COMMANDS: dict[str, Command] = {
    "add": Command(rpc.Add, change.add, ADMIN),
    "debug": Command(rpc.Nothing, inside.debug, ADMIN),
    "decr": Command(rpc.Count, count.decr, OPERATE),
    "diff": Command(rpc.Nothing, diff.diff, OPERATE),
    "dstats": Command(rpc.Nothing, stats.dstats, OBSERVE),
    "events": Command(rpc.Events, events.events, OBSERVE, streams=True),
    "exec": Command(rpc.Exec, exec.exec_, ADMIN),
    "freeze": Command(rpc.Freeze, freezing.freeze, OPERATE),
    "get": Command(rpc.Get, options.options, OPERATE),
    "globaloptions": Command(rpc.GlobalOptions, options.globaloptions, OBSERVE),
    "history": Command(rpc.History, history.history, OBSERVE),
    "incr": Command(rpc.Count, count.incr, OPERATE),
    "ipython": Command(rpc.Anything, foreign.ipython, OBSERVE),
    "kill": Command(rpc.Kill, lifecycle.kill, OPERATE),
    "list": Command(rpc.Which, reports.list_, OBSERVE),
    "listen": Command(rpc.Anything, foreign.listen, OBSERVE),
    "listsockets": Command(rpc.Nothing, foreign.listsockets, OBSERVE),
    "loglevel": Command(rpc.Level, inside.loglevel, ADMIN),
    "numprocesses": Command(rpc.OneOrAll, reports.numprocesses, OBSERVE),
    "numwatchers": Command(rpc.Nothing, reports.numwatchers, OBSERVE),
    "options": Command(rpc.Get, options.options, OPERATE),
    "ps": Command(rpc.Which, reports.ps, OBSERVE),
    "quit": Command(rpc.Quit, lifecycle.quit_, ADMIN),
    "reload": Command(rpc.Reload, reload.reload, OPERATE),
    "reloadconfig": Command(rpc.ReloadConfig, reload.reloadconfig, ADMIN),
    "restart": Command(rpc.Target, lifecycle.restart, OPERATE),
    "revert": Command(rpc.Revert, change.revert, ADMIN),
    "rm": Command(rpc.Rm, change.rm, ADMIN),
    "set": Command(rpc.Set, change.set_, ADMIN),
    "signal": Command(rpc.Signal, signals.signal, OPERATE),
    "start": Command(rpc.Target, lifecycle.start, OPERATE),
    "stats": Command(rpc.Stats, stats.stats, OBSERVE),
    "status": Command(rpc.Which, reports.status, OBSERVE),
    "stop": Command(rpc.Target, lifecycle.stop, OPERATE),
    "thaw": Command(rpc.Freeze, freezing.thaw, OPERATE),
    "top": Command(rpc.Which, stats.top, OBSERVE),
    "wait": Command(rpc.Wait, lifecycle.wait, OBSERVE),
    "why": Command(rpc.Why, history.why, OBSERVE),
}


class Commands:
    """Commands on different watchers never exclude each other; each runs to its end without waiting for another."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    async def run(
        self, command: str, properties: dict[str, Any], caller: Caller = LOCAL, push: Push | None = None
    ) -> Fields:
        """The answer's fields. Raises BadMessage, Forbidden first of all; any other CircusCgError, OSError."""
        answer = self.begin(command, properties, caller, push)
        return answer if isinstance(answer, dict) else await answer

    def begin(
        self, command: str, properties: dict[str, Any], caller: Caller = LOCAL, push: Push | None = None
    ) -> Fields | Awaitable[Fields]:
        """As `run`; what is to be waited for has not begun yet."""
        known = COMMANDS.get(command.lower())
        if known is None:
            guess = nearest(COMMANDS, command)
            hint = f"; did you mean {guess}?" if guess else ""
            raise rpc.BadMessage(rpc.Errno.UNKNOWN_COMMAND, f"unknown command: {command[:64]!r}{hint}")
        _permit(command, known, caller)
        asked = rpc.properties(command, known.asks, properties)
        more = (None if push is None else Asker(caller, push),) if known.streams else ()
        if caller.watchers and isinstance(asked, rpc.Add) and not caller.sees(asked.name):
            raise _forbidden(f"cannot add {asked.name[:64]!r}", caller)
        seen = View.of(self._arbiter, caller.sees) if caller.watchers else self._arbiter
        if known.role is OBSERVE:
            return known.run(seen, asked, *more)
        told = asking.Asking(seen, command.lower(), asked, caller)
        return told.begin(lambda: known.run(seen, asked, *more))


def _permit(command: str, known: Command, caller: Caller) -> None:
    if not caller.may(known.role):
        raise rpc.Forbidden(
            f"cannot {command}: key {caller.name!r} may {caller.role.word}, this needs {known.role.word};"
            " ask who keeps the daemon's keys"
        )
    if caller.watchers and not known.names_watchers:
        raise _forbidden(f"cannot {command}: it concerns the whole daemon", caller)


def _forbidden(what: str, caller: Caller) -> rpc.Forbidden:
    return rpc.Forbidden(f"{what}; key {caller.name!r} is for the watchers {', '.join(caller.watchers)}")
