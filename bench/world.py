"""What every measured system shares: target and floor, compiled, and the FIFO on which workers report their birth."""

from __future__ import annotations

import compileall
import os
import select
import struct
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RECORD = struct.Struct("=QQ")  # pid, CLOCK_MONOTONIC ns
PACKAGE = HERE.parent / "circus_cg"
PATIENCE = 120.0  # seconds for anything to happen


class World:
    def __init__(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="circus-cg-bench-"))
        self.target = self._compile("target")
        self.floor = self._compile("floor")
        compileall.compile_dir(PACKAGE, quiet=2)  # as every installation is, and the peers' are here

    def _compile(self, name: str) -> Path:
        program = self.scratch / name
        subprocess.run(["cc", "-O2", "-static", "-o", program, HERE / f"{name}.c"], check=True)
        return program

    def births(self, label: str) -> Births:
        return Births(self.scratch / f"{label}.fifo")


class Births:
    """The first instructions of one system's workers, in the order they came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path, 0o600)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # never at its end
        self.pids: list[int] = []

    def wait(self, count: int) -> list[int]:
        """Instants (ns, CLOCK_MONOTONIC) of the next `count` births."""
        instants: list[int] = []
        end = time.monotonic() + PATIENCE
        while len(instants) < count:
            if not select.select([self._fd], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"{self.path.stem}: {len(instants)} of {count} workers began in {PATIENCE:g} s")
            for pid, instant in RECORD.iter_unpack(os.read(self._fd, RECORD.size * min(256, count - len(instants)))):
                self.pids.append(pid)
                instants.append(instant)
        return instants

    def drain(self) -> None:
        try:
            while data := os.read(self._fd, RECORD.size * 256):
                self.pids += [pid for pid, _ in RECORD.iter_unpack(data)]
        except BlockingIOError:
            return


def pss_kb(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (OSError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond: in ten seconds a tick of /proc/PID/stat is 0.1 % of a core."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
