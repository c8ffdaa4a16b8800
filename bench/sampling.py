"""What a policy's look at all workers costs, every two seconds; and that without a policy nothing is spent."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.systems import Ours
from bench.world import World

WINDOW = 20.0  # seconds: ten looks
SETTLE = 5.0


class Scaled(Ours):
    """Looked at, and left as it is."""

    name = "scaled"

    def watcher(self) -> dict[str, Any]:
        scaling = {"max": self.workers, "min": 1, "sample": 2, "dry_run": True}  # reads each worker's cpu.stat
        memory = {"restart_above": "128M"}  # and its memory.current
        return {**super().watcher(), "autoscale": scaling, "memory_policy": memory}


def sampling(world: World, workers: int, rounds: int) -> dict[str, Any]:
    """CPU of all our processes, percent of a core: with an autoscale policy and without, in turns."""
    both = {"ours": Scaled(world, workers), "plain": Ours(world, workers, "plain")}
    for system in both.values():
        system.start()
    time.sleep(SETTLE)
    spent: dict[str, list[float]] = {name: [] for name in both}
    for _ in range(rounds):
        before = {name: {pid: _nanoseconds(pid) for pid in system.own()} for name, system in both.items()}
        begun = time.monotonic()
        time.sleep(WINDOW)
        seconds = time.monotonic() - begun
        for name, pids in before.items():
            used = sum(_nanoseconds(pid) - past for pid, past in pids.items())
            spent[name].append(100.0 * used / 1e9 / seconds)
    for system in both.values():
        system.stop()
    ours, plain = (median(spent[name]) for name in ("ours", "plain"))
    return {"unit": "percent of a core", "ours": ours, "plain": plain, "sampling": ours - plain, "samples": spent}


def _nanoseconds(pid: int) -> int:
    """On a CPU: finer than the ticks of /proc/PID/stat."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
