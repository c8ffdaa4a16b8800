"""A daemon whose service manager is the test: what it says over the notification socket, and when."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import Daemon
from tests.functional.evidence import arbiter_of, lines_of, quoted, sh

Words = dict[str, str]


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[Words] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))

    def wait(self, key: str, after: int = 0, seconds: float = 20) -> Words:
        """The first datagram with `key` since the `after`th."""

        def found() -> Words | None:
            self.listen()
            return next((words for words in self.heard[after:] if key in words), None)

        return until(found, seconds, f"{key}; heard: {self.heard}") or {}

    def listen(self) -> None:
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except BlockingIOError:
                return
            self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def watched(tmp_path: Path, name: str, manager: Manager, watchdog: float, cmd: list[str]) -> Daemon:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": str(int(watchdog * SLOWNESS * 1e6))}
    return Daemon(tmp_path, name, {"watchers": {"w": {"cmd": cmd, "copy_env": True}}}, **environment)


def test_a_whole_life_is_told_in_order(tmp_path: Path, scratch_name: str, manager: Manager) -> None:
    seen = tmp_path / "environment"
    with watched(tmp_path, scratch_name, manager, 1000, sh(f"env > {quoted(seen)}; exec sleep 1000")) as running:
        assert manager.wait("READY")["STATUS"] == "supervising 1 watchers"
        running.wait_phase("w")
        arbiter = until(lambda: arbiter_of(running.pid))
        os.kill(arbiter, signal.SIGKILL)
        manager.wait("STATUS", after=1)
        until(lambda: manager.listen() or manager.heard[-1] == {"STATUS": "supervising 1 watchers"}, why="the next one")
        told = len(manager.heard)
        os.kill(running.pid, signal.SIGHUP)
        assert manager.wait("RELOADING", after=told).keys() == {"RELOADING", "MONOTONIC_USEC"}
        manager.wait("READY", after=told)
        running.terminate()
        assert int(manager.wait("STOPPING")["EXTEND_TIMEOUT_USEC"]) > 0
    firsts = [key for words in manager.heard for key in words if key in ("READY", "RELOADING", "STOPPING")]
    assert firsts == ["READY", "RELOADING", "READY", "STOPPING"]
    assert not [line for line in lines_of(seen) if line.startswith(("NOTIFY_", "WATCHDOG_"))]


def test_the_watchdog_hears_nothing_for_a_stopped_arbiter_until_there_is_another(
    tmp_path: Path, scratch_name: str, manager: Manager
) -> None:
    """A ping is owed after ten seconds; SIGHUP asks for an answer at once."""
    with watched(tmp_path, scratch_name, manager, 1, ["sleep", "1000"]) as running:
        manager.wait("WATCHDOG")
        arbiter = until(lambda: arbiter_of(running.pid))
        os.kill(arbiter, signal.SIGSTOP)
        os.kill(running.pid, signal.SIGHUP)
        told = manager.wait("RELOADING")
        after = manager.heard.index(told)
        with pytest.raises(pytest.fail.Exception):
            manager.wait("WATCHDOG", after=after, seconds=3)  # three periods
        os.kill(arbiter, signal.SIGKILL)
        manager.wait("WATCHDOG", after=after)
        manager.wait("READY", after=after)
