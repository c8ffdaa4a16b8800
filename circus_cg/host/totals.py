"""What the host has left, and how short of memory it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PRESSURE, VMSTAT = Path("/proc/pressure/memory"), Path("/proc/vmstat")
FULL = r"(?m)^full avg10=([0-9.]+)"
SCANNED = r"(?m)^pgscan_(?:kswapd|direct|khugepaged|proactive) ([0-9]+)$"


class Totals(NamedTuple):
    idle_seconds: float  # all CPUs' idle time since boot; waiting for a disk is idle
    memory: int  # bytes that could be had without swapping


def totals() -> Totals | None:
    """None where /proc does not tell, as in some containers."""
    import psutil  # 20 ms, only for who asks  # noqa: PLC0415

    try:
        times, memory = psutil.cpu_times(), psutil.virtual_memory()
    except (OSError, RuntimeError, psutil.Error):
        return None
    return Totals(times.idle + getattr(times, "iowait", 0.0), memory.available)


def memory_full() -> float | None:
    """Percent of time in which everything waits for memory (avg10); None: the kernel does not tell."""
    try:
        found = re.search(FULL, PRESSURE.read_text())
    except OSError:  # no PSI, or switched off
        return None
    return None if found is None else float(found[1])


def pages_scanned() -> int | None:
    """By reclaim, since boot."""
    try:
        found = re.findall(SCANNED, VMSTAT.read_text())
    except OSError:
        return None
    return sum(map(int, found)) if found else None
