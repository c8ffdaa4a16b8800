"""A daemon whose service manager is the test: what it says over the notification socket, and when."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import arbiter_of, lines_of, quoted, sh
from tests.functional.installation import Installation

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
    """A ping is owed after ten seconds."""
    with watched(tmp_path, scratch_name, manager, 1, ["sleep", "1000"]) as running:
        manager.wait("WATCHDOG")
        arbiter = until(lambda: arbiter_of(running.pid))
        os.kill(arbiter, signal.SIGSTOP)

        def silent() -> bool:
            """For three periods."""
            manager.listen()
            told = len(manager.heard)
            time.sleep(3 * SLOWNESS)
            manager.listen()
            return not [words for words in manager.heard[told:] if "WATCHDOG" in words]

        until(silent, 25, "the watchdog to hear nothing")
        after = len(manager.heard)
        os.kill(arbiter, signal.SIGKILL)
        manager.wait("WATCHDOG", after=after)
        manager.wait("STATUS", after=after)


def test_an_upgrade_is_a_reload_and_the_watchdog_hears_of_us_meanwhile(
    tmp_path: Path, scratch_name: str, manager: Manager
) -> None:
    """Through another keeper to an arbiter that hangs, and back."""
    installation = Installation(tmp_path / "installation")
    installation.edit("keeper/upgrade.py", "READY_LIMIT = 30.0", f"READY_LIMIT = {6 * SLOWNESS}")
    running = watched(tmp_path, scratch_name, manager, 1, ["sleep", "1000"])
    running.program = str(installation.program)
    with running:
        manager.wait("WATCHDOG")
        installation.edit("keeper/upgrade.py", f"READY_LIMIT = {6 * SLOWNESS}", f"READY_LIMIT = {5 * SLOWNESS}")
        installation.edit("arbiter/main.py", "    arbiter.begin()\n", "    await asyncio.sleep(1000)\n")
        told = len(manager.heard)
        with pytest.raises(Refused):
            running.ctl("upgrade")
        manager.listen()
        keys = [key for words in manager.heard[told:] for key in words]
        began = keys.index("RELOADING")
        assert keys[began:].count("WATCHDOG") >= 5
        until(lambda: manager.listen() or any("READY" in words for words in manager.heard[told:]), why="READY")
        assert running.wait_phase("w")
