"""One command line's talk with a daemon on another host."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from circus_cg.cli.ctl.session import Session, own_fields
from circus_cg.errors import CommandRefused, NotRunning, TimedOut, WrongServer
from circus_cg.host import clock
from circus_cg.rpc.remote_client import Away, RemoteClient

ASK_AGAIN = 0.2  # seconds


class AwaySession(Session):
    def __init__(self, away: Away, timeout: float) -> None:
        self.name = away.endpoint
        self.client = RemoteClient(away, timeout, clock.now)

    def here_only(self, verb: str, why: str) -> None:
        raise CommandRefused(f"cannot {verb} from afar: {why}")

    def call(self, command: str, timeout: float | None = None, /, **properties: Any) -> dict[str, Any]:
        """The answer's own fields. Raises NotRunning, TimedOut, KeyRefused, WrongServer, CommandRefused."""
        return own_fields(self.client.call(command, timeout, **properties))

    def refuse_a_dead_daemon(self, doing: str) -> None:
        """Raises as `call`, but for an answer that is only late."""
        with suppress(TimedOut):
            self.call("list")

    def wait_gone(self) -> None:
        """Nobody from afar can hear the daemon's end: its endpoint is asked until it is closed."""
        with suppress(NotRunning):
            while True:
                with suppress(TimedOut, WrongServer):  # it hangs up on who comes in its last moments
                    self.call("list", 1.0)
                clock.sleep(ASK_AGAIN)
