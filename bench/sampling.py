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
    """Looked at, and left as it is. Its workers do a little, so that each one's counters must be read each time."""

    name = "scaled"
    works = True
    above = 64 << 10  # bytes; all together use more, so each one's memory must be read, too

    def watcher(self) -> dict[str, Any]:
        plain = super().watcher()
        scaling = {"max": self.workers, "min": 1, "sample": 2, "dry_run": True}
        memory = {"restart_above": self.above, "restart_after": "1h"}
        cmd = [*plain["cmd"], "works"] if self.works else plain["cmd"]
        return {**plain, "cmd": cmd, "autoscale": scaling, "memory_policy": memory}


class Bored(Scaled):
    """All its workers sleep."""

    name = "bored"
    works = False
    above = 1 << 30


class Plain(Scaled):
    """Without a policy; its workers do as those of Scaled."""

    name = "plain"

    def watcher(self) -> dict[str, Any]:
        return {key: value for key, value in super().watcher().items() if key not in ("autoscale", "memory_policy")}


class BoredPlain(Plain):
    name = "bored_plain"
    works = False


def sampling(world: World, workers: int, rounds: int) -> dict[str, Any]:
    """CPU of all our processes, percent of a core: with policies and without, of workers that work and that sleep.

    `sampling` is what the policies cost where each worker is read, `bored` where their group says that none need be.
    """
    kinds: list[type[Scaled]] = [Scaled, Plain, Bored, BoredPlain]
    spent: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for pair in (kinds[:2], kinds[2:]):
        running = [kind(world, workers) for kind in pair]
        for system in running:
            system.start()
        time.sleep(SETTLE)
        for _ in range(rounds):
            before = {system.name: {pid: _nanoseconds(pid) for pid in system.own()} for system in running}
            begun = time.monotonic()
            time.sleep(WINDOW)
            seconds = time.monotonic() - begun
            for name, pids in before.items():
                used = sum(_nanoseconds(pid) - past for pid, past in pids.items())
                spent[name].append(100.0 * used / 1e9 / seconds)
        for system in running:
            system.stop()
    ours, plain, bored, bored_plain = (median(spent[kind.name]) for kind in kinds)
    return {
        "unit": "percent of a core",
        "ours": ours,
        "plain": plain,
        "sampling": ours - plain,
        "bored": bored - bored_plain,
        "samples": spent,
    }


def _nanoseconds(pid: int) -> int:
    """On a CPU: finer than the ticks of /proc/PID/stat."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
