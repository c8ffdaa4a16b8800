"""A thousand lives leave no descriptor, group or process behind."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.evidence import arbiter_of, children_of, launcher_of
from tests.scratch_groups import left_of

CYCLES = 1000


def descriptors(pid: int) -> Counter[str]:
    """Of each kind how many. A statistic of a group that exists is held open, once, from the first minute's look on."""
    found = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    statistics = {path for path in found if path.startswith("/sys/fs/cgroup/") and os.path.isfile(path)}
    kinds = Counter(path.partition("[")[0] if path.endswith("]") else path for path in found)
    return kinds - Counter(statistics)


@pytest.mark.timeout(300)
def test_a_thousand_lives_leak_nothing(daemon: StartDaemon, tmp_path: Path) -> None:
    unheld = {"min_uptime": 0, "backoff": {"initial": 0}, "flapping": {"attempts": 0}}
    watchers = {"brief": {"cmd": "/bin/true", "numprocesses": 4, **unheld}, "calm": {"cmd": ["sleep", "1000"]}}
    running = daemon(watchers=watchers)
    running.wait_phase("calm")
    running.ctl("stop", "brief")
    arbiter, launcher = arbiter_of(running.pid), launcher_of(running.pid)
    assert arbiter is not None and launcher is not None
    before = [descriptors(pid) for pid in (running.pid, arbiter, launcher)]
    groups = sorted(left_of(running.name))
    assert not [group for group in groups if group.parent.name == "brief"], "left behind by a stop that was told"
    generation = highest_generation(running.ctl("start", "brief", "--no-wait") and running.workers("brief"))
    until(lambda: highest_generation(running.workers("brief")) >= generation + CYCLES // 4, 200 * SLOWNESS)
    running.ctl("stop", "brief")
    assert arbiter_of(running.pid) == arbiter
    until(lambda: [descriptors(pid) for pid in (running.pid, arbiter, launcher)] == before, why=f"{before}")
    until(lambda: sorted(left_of(running.name)) == groups, why=f"{groups}")
    until(lambda: len(children_of(running.pid)) == 3, why="arbiter, launcher and one worker")


def highest_generation(rows: list[dict[str, int]]) -> int:
    return max((row["generation"] for row in rows), default=0)
