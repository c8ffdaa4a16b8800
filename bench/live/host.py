"""The host that a live watcher is on: what others leave of it, and others of our own."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import psutil

LOOK = 0.25  # seconds
PATIENCE = 120.0  # seconds for others to leave some of it


class Watch:
    """Looks at the host's idle time by itself, beside the daemon: `shortages` counts the looks that found less than
    `least` CPUs idle in the last `window` seconds. While we burn them ourselves it does not look.
    """

    def __init__(self, window: float, least: float) -> None:
        self.window, self.least = window, least
        self.shortages = 0
        self._expected = self._ended = False
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join()

    @contextmanager
    def burning(self) -> Iterator[None]:
        """Nicer than everybody, and enough of them for all CPUs."""
        self._expected = True
        with ExitStack() as ends:
            command = ["nice", "-n", "19", "stress-ng", "--quiet", "--cpu", str(2 * (os.cpu_count() or 1))]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            ends.callback(process.wait)
            ends.callback(process.terminate)
            wait_idle(self.window, 0.0, self.least)
            yield
        self._expected = False

    def _look(self) -> None:
        past: deque[tuple[float, float]] = deque(maxlen=round(self.window / LOOK) + 1)
        while not self._ended:
            time.sleep(LOOK)
            if self._expected:
                past.clear()
                continue
            past.append((time.monotonic(), psutil.cpu_times().idle))
            if len(past) == past.maxlen and _idle(past[0], past[-1]) < self.least:
                self.shortages += 1


def wait_idle(window: float, least: float, most: float = float("inf")) -> bool:
    """Until so many CPUs were idle for `window` seconds; whether it came to that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = time.monotonic(), psutil.cpu_times().idle
        time.sleep(window)
        if least <= _idle(before, (time.monotonic(), psutil.cpu_times().idle)) <= most:
            return True
    return False


def _idle(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[1] - before[1]) / (after[0] - before[0])
