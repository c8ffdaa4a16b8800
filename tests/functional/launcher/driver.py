"""A keeper reduced to what a launcher needs of it: asks, collects the answers, reaps."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import Any

from circus_cg.keeper.launch import Answer, Failed, ForkLauncher, Gone, NativeLauncher, Running, SpawnRequest, Started
from tests.conftest import until

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


class Driver:
    def __init__(self, launcher: NativeLauncher | ForkLauncher) -> None:
        self.launcher = launcher
        self.answers: list[Answer] = []
        self._idents = 0

    def submit(self, *argv: str, **properties: Any) -> int:
        self._idents += 1
        request: dict[str, Any] = {"ident": self._idents, "argv": list(argv), "env": ENV} | properties
        self.launcher.submit(SpawnRequest(**request))
        return self._idents

    def listen(self) -> None:
        """Take the news, if the launcher's descriptor says that there are any."""
        poll = select.poll()
        poll.register(self.launcher.fileno(), select.POLLIN)
        if poll.poll(0):
            self.answers += self.launcher.receive()

    def started(self, ident: int) -> int:
        """The pid, once it is known."""

        def found() -> Started | None:
            self.listen()
            return next((a for a in self.answers if isinstance(a, Started) and a.ident == ident), None)

        return until(found).pid

    def settled(self, ident: int) -> Running | Failed:
        def found() -> Running | Failed | None:
            self.listen()
            return next((a for a in self.answers if isinstance(a, Running | Failed) and a.ident == ident), None)

        return until(found)

    def gone(self) -> Gone:
        def found() -> Gone | None:
            self.listen()
            return next((a for a in self.answers if isinstance(a, Gone)), None)

        return until(found)

    def status(self, ident: int) -> int:
        """The exit status, reaped: negative for a signal."""
        pid = self.started(ident)

        def reaped() -> tuple[int, int] | None:
            done, status = os.waitpid(pid, os.WNOHANG)
            return (done, status) if done else None

        return os.waitstatus_to_exitcode(until(reaped)[1])

    def output(self, *argv: str, **properties: Any) -> str:
        """What the program wrote to its standard output, once it has left with status 0."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        fds = {1: writer} | properties.pop("fds", {})
        ident = self.submit(*argv, fds=fds, **properties)
        os.close(writer)
        assert self.settled(ident) == Running(ident)
        with open(reader, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        assert self.status(ident) == 0
        return text

    def close(self) -> None:
        """End and reap what is left of it, launcher and children."""
        pids = {a.pid for a in self.answers if isinstance(a, Started)}
        launcher = self.launcher.pid
        self.launcher.close()
        if launcher is not None:
            until(lambda: _reaped(launcher), why="the launcher leaves when its socket closes")
        for pid in pids:
            if not _reaped(pid):
                os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid: _reaped(pid))


def _reaped(pid: int) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    return True
