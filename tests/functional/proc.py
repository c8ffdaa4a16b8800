"""A daemon that sees files of the test's own in place of some of the kernel's below /proc: of its host's state."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.functional.daemon import PROGRAM

TICKS = os.sysconf("SC_CLK_TCK")
_BOOTED = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))


class Proc:
    """`program` stands for circus-cg: what it runs sees `files` (name below /proc -> first text)."""

    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self._files = {name: directory / name.replace("/", "-") for name in files}
        for name, text in files.items():
            self.say(name, text)
        binds = " && ".join(f"mount --bind {shlex.quote(str(file))} /proc/{name}" for name, file in self._files.items())
        inside = shlex.quote(f'{binds} && exec {PROGRAM} "$@"')
        self.program = directory / "circus-cg"
        self.program.write_text(
            f'#!/bin/sh\n[ "$1" = run ] || exec {PROGRAM} "$@"\nexec unshare --mount sh -c {inside} sh "$@"\n'
        )
        self.program.chmod(0o700)
        tried = subprocess.run(["unshare", "--mount", "sh", "-c", binds], capture_output=True, text=True, check=False)
        self.obstacle = tried.stderr.strip() if tried.returncode else None

    def say(self, name: str, text: str) -> None:
        """In place, in one write: it is mounted, and may be read at any time."""
        fd = os.open(self._files[name], os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(fd, text.encode(), 0)
            os.ftruncate(fd, len(text))
        finally:
            os.close(fd)


class IdleHost(Proc):
    """With so many CPUs idle all the time, whatever else runs here."""

    def __init__(self, directory: Path, cpus: float = 4) -> None:
        super().__init__(directory, {"stat": _stat(0)})
        self._cpus, self._ended = cpus, threading.Event()
        self._clock = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._clock.join()

    def _go_on(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(0.1):
            self.say("stat", _stat(int((time.monotonic() - began) * TICKS * self._cpus)))


def _stat(idle: int) -> str:
    """Of one length, so that no reader meets half of another."""
    return f"cpu  0 0 0 {idle:015d} 0 0 0 0 0 0\n{_BOOTED}\n"
