"""A `circus-cg ctl events --follow --json` in the background, and what it has said so far."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import PROGRAM, Daemon


class Following:
    def __init__(self, running: Daemon, *arguments: str, where: Sequence[str] = (), from_now: bool = True) -> None:
        """`where`: options of `ctl` that say which daemon; without them it is the one of this name, here.

        What happens from now on is told, though it takes a moment to be there; without `from_now`, from when it is.
        """
        there = where or ["--name", running.name]
        if from_now and "--since" not in arguments:
            last = running.ctl("events", "--limit", "1")["events"]
            arguments = (*arguments, "--since", str(last[-1]["seq"] if last else 0))
        command = [PROGRAM, "ctl", *there, "events", "--follow", "--json", *arguments]
        self.process = subprocess.Popen(command, env=running.environment, stdout=subprocess.PIPE, text=True)
        self.messages: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for message in self.messages for event in message.get("events", [])]

    def of(self, kind: str, watcher: str | None = None) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind and watcher in (None, event["watcher"])]

    def wait(self, kind: str, count: int = 1, seconds: float = 15) -> list[dict[str, Any]]:
        def there() -> list[dict[str, Any]] | None:
            found = self.of(kind)
            return found if len(found) >= count else None

        return until(there, seconds, f"{count} x {kind} among {[e['kind'] for e in self.events]}") or []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.end() == 0 or error is not None

    def end(self) -> int:
        """Wait for it to end by itself: its exit status."""
        status = self.process.wait(20 * SLOWNESS)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.messages.append(json.loads(line))
