"""The network endpoint of an arbiter: its keys as they are now, and what becomes of whom they no longer name."""

from __future__ import annotations

import asyncio
from pathlib import Path

from circus_cg.arbiter.audit import Audit
from circus_cg.arbiter.boot import Network
from circus_cg.core.access import Caller
from circus_cg.core.rate import Rate
from circus_cg.host.watching import Watching
from circus_cg.keeper.log import say
from circus_cg.rpc import keyring
from circus_cg.rpc.keys import read_authorized
from circus_cg.rpc.remote import Bounds, RemoteServer
from circus_cg.rpc.server import Handler
from circus_cg.spec import Control

MAX_SAID = 10  # problems of one file in the log


class Remote:
    def __init__(self, control: Control, network: Network, handle: Handler, audit: Audit) -> None:
        assert control.tcp is not None
        self._directory = Path(network.keys)
        self._callers: dict[str, Caller] = {}
        self._loop = asyncio.get_running_loop()
        self._watching = self._watched()
        bounds = Bounds(
            Rate(control.rate, control.burst, control.queue), control.connections, control.handshake_timeout
        )
        self._server = RemoteServer(handle, self._callers_get, audit.turned_away, bounds, network.secret)
        self._read()
        self._server.open(control.tcp, network.listener)
        say("arbiter", f"listening on {control.tcp} for {len(self._callers)} keys of {self._directory}")

    def close(self) -> None:
        if self._watching is not None:
            self._loop.remove_reader(self._watching.fileno())
            self._watching.close()
        self._server.close()

    def _callers_get(self, key: str) -> Caller | None:
        return self._callers.get(key)

    def _watched(self) -> Watching | None:
        try:
            watching = Watching(str(self._directory / keyring.AUTHORIZED))
        except OSError as failed:
            self._say_unwatched(failed)
            return None
        self._loop.add_reader(watching.fileno(), self._on_change)
        return watching

    def _on_change(self) -> None:
        assert self._watching is not None
        try:
            changed = self._watching.changed()
        except OSError as failed:
            self._say_unwatched(failed)
            changed = True
        if changed:
            self._read()

    def _say_unwatched(self, failed: OSError) -> None:
        say("arbiter", f"cannot watch {failed.filename}: {failed.strerror}; keys hold as they are until a restart")

    def _read(self) -> None:
        """A file that can't be trusted or is gone lets nobody in; a line that can't be read, nobody of that line."""
        path = self._directory / keyring.AUTHORIZED
        try:
            text = keyring.trusted_text(path, "circus-cg keys init makes one", secret=False)
        except keyring.KeyFileError as wrong:
            text = ""
            say("arbiter", f"nobody may come from afar: {wrong}")
        found, problems = read_authorized(text)
        for line, problem in problems[:MAX_SAID]:
            say("arbiter", f"{path}:{line}: {problem}")
        changed = [key for key, caller in self._callers.items() if found.get(key) != caller]
        self._callers.clear()
        self._callers.update(found)
        for key in changed:
            self._server.revoke(key)
