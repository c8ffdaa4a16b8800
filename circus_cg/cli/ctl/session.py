"""One command line's talk with one daemon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from circus_cg.errors import NotRunning, TimedOut
from circus_cg.host import clock, dirs
from circus_cg.rpc.client import Client

if TYPE_CHECKING:
    from circus_cg.rpc.remote_client import RemoteClient

WAIT_SLICE = 5.0  # seconds of waiting before the question is put again; a stop may take as long as its graceful_timeout
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # it becomes part of a path

Names = Sequence[str]  # empty: every watcher


class Session:
    def __init__(self, name: str, timeout: float) -> None:
        if not NAME.fullmatch(name):
            raise click.BadParameter(f"{name!r} is no daemon's name", param_hint="--name")
        self.name = name
        self.dirs = dirs.of(name)
        self.client: Client | RemoteClient = Client(self.dirs.endpoint, timeout, clock.now, self.refuse_a_dead_daemon)

    def here_only(self, verb: str, why: str) -> None:
        """Raises CommandRefused if the daemon is on another host: `verb` can't be done there, as `why` says."""

    def call(self, command: str, timeout: float | None = None, /, **properties: Any) -> dict[str, Any]:
        """The answer's own fields. Raises NotRunning, TimedOut, CommandRefused."""
        self.refuse_a_dead_daemon(command)
        return own_fields(self.client.call(command, timeout, **properties))

    def refuse_a_dead_daemon(self, doing: str) -> None:
        """Raises NotRunning at once when nobody holds the name: a socket may outlive a killed daemon."""
        dirs.refuse_anothers(self.dirs.runtime)  # or somebody else's would hear our secrets
        try:
            alive = dirs.is_locked(self.dirs)
        except PermissionError as refused:
            raise NotRunning(
                f"cannot reach daemon {self.name!r}: {self.dirs.runtime} is another user's; become that user"
            ) from refused
        if not alive:
            raise NotRunning(f"cannot {doing}: no daemon {self.name!r} is running; start it: circus-cg run CONFIG")

    def wait(self, names: Names, match: str, state: str) -> dict[str, Any]:
        """The statuses, when the watchers are `up`, `down` or `gone`. Asked again and again: an arbiter may die
        meanwhile.
        """
        while True:
            with suppress(TimedOut):
                return self.call("wait", WAIT_SLICE, name=list(names) or None, match=match, state=state)

    def wait_gone(self) -> None:
        """Return when no daemon holds the name."""
        dirs.wait_unlocked(self.dirs)


OK = ("status", "ok")


def own_fields(reply: dict[str, Any]) -> dict[str, Any]:
    """`status NAME` answers with the watcher's own status, as circus does."""
    return {key: value for key, value in reply.items() if key not in ("id", "time") and (key, value) != OK}
