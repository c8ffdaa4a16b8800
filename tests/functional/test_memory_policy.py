"""A worker that uses too much is replaced alone, or killed alone by its limit; and whoever did it, it is on record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon
from tests.functional.evidence import alive, lines_of, python, quoted, sh

MIB = 1 << 20
LEAKER = 2  # the worker that leaks, among its siblings
CALM = {"backoff": {"initial": 0}, "flapping": {"attempts": 0}, "min_uptime": 0}


def leaking(mebibytes: int, pause: float = 0.05, lives: int = 1) -> list[str]:
    """A worker that takes a mebibyte at a time, up to so many; `lives`: of its lives only the first so many do."""
    code = (
        "import os, sys, time\n"
        f"wid, taken = int(sys.argv[1]), []\n"
        f"old = os.path.exists(sys.argv[2])\n"
        f"if wid == {LEAKER} and not old:\n"
        "  open(sys.argv[2], 'w').close()\n"
        f"  for _ in range({mebibytes}):\n"
        f"    taken.append(b'x' * {MIB}); time.sleep({pause})\n"
        "time.sleep(1000)"
    )
    return [*python(code), "$(circus.wid)"]


def events(running: Daemon, *kinds: str) -> list[dict[str, Any]]:
    asked = [word for kind in kinds for word in ("--kind", kind)]
    found: list[dict[str, Any]] = running.ctl("events", "--watcher", "w", "--limit", "2000", *asked)["events"]
    return found


def of_siblings(running: Daemon, count: int) -> dict[int, int]:
    return {row["wid"]: row["pid"] for row in running.wait_phase("w", count=count) if row["wid"] != LEAKER}


def test_a_leaking_worker_is_replaced_alone_and_before_the_kernel_acts(daemon: StartDaemon, tmp_path: Path) -> None:
    policy = {"restart_above": "24M", "restart_after": 0.5}
    cmd = [*leaking(40), str(tmp_path / "leaked")]
    running = daemon(
        watchers={"w": {"cmd": cmd, "numprocesses": 3, "memory_policy": policy, "limits": {"memory_max": "96M"}}}
    )
    (end,) = until(lambda: events(running, "exit"), 30, "the leaker's end")
    assert (end["wid"], end["exit"]["reason"]) == (LEAKER, "memory")
    assert "restart_above" in end["exit"]["detail"] and end["exit"]["peak"] > 24 * MIB
    (told,) = events(running, "decision")
    assert (told["verdict"], told["wid"], told["inputs"]["rule"]) == ("replace", LEAKER, "restart_above")
    rows = running.wait_phase("w", count=3)
    assert [(row["wid"], row["generation"]) for row in rows if row["wid"] in (1, 3)] == [(1, 1), (3, 1)]
    order = [(one["kind"], one["wid"]) for one in events(running, "ready", "stopping")]
    (newcomer,) = {row["wid"] for row in rows} - {1, LEAKER, 3}
    assert order.index(("ready", newcomer)) < order.index(("stopping", LEAKER)), "the new one came before the old went"


def test_a_leaking_worker_is_killed_alone_at_its_limit_and_that_is_told(daemon: StartDaemon, tmp_path: Path) -> None:
    limits = {"memory_max": "24M", "memory_swap_max": 0}
    cmd = [*leaking(64, 0.005), str(tmp_path / "leaked")]
    running = daemon(watchers={"w": {"cmd": cmd, "numprocesses": 3, "limits": limits, **CALM}}, on_missing="warn")
    siblings = of_siblings(running, 3)
    (end,) = until(lambda: events(running, "exit"), 30, "the leaker's end")
    assert (end["wid"], end["exit"]["reason"], end["exit"]["signal"]) == (LEAKER, "oom", 9)
    assert f"memory_max {24 * MIB}, peak" in end["exit"]["detail"]
    assert "went with it; left behind: " in end["exit"]["detail"]
    assert of_siblings(running, 3) == siblings


@pytest.mark.timeout(240)
def test_each_of_a_hundred_kills_is_blamed_on_the_limit_that_was_hit_and_siblings_stay(daemon: StartDaemon) -> None:
    hog = f"import sys, time\nif int(sys.argv[1]) == {LEAKER}: b = bytearray(64 << 20)\ntime.sleep(1000)"
    limits = {"memory_max": "16M", "memory_swap_max": 0}
    spec = {"cmd": [*python(hog), "$(circus.wid)"], "numprocesses": 3, "limits": limits, **CALM}
    running = daemon(watchers={"w": spec}, on_missing="warn")
    until(lambda: len(events(running, "exit")) > 2, 30, "the first kills")
    siblings = {row["wid"]: row["pid"] for row in running.workers("w") if row["wid"] != LEAKER}
    until(lambda: len(events(running, "exit")) >= 100, 120, "a hundred kills")
    ends = events(running, "exit")
    assert len(ends) >= 100 and {one["wid"] for one in ends} == {LEAKER}
    assert {(one["exit"]["reason"], one["exit"]["signal"]) for one in ends} == {("oom", 9)}
    assert all(f"memory_max {16 * MIB}" in one["exit"]["detail"] for one in ends)
    assert [one["generation"] for one in ends] == list(range(1, len(ends) + 1))
    assert {row["wid"]: row["pid"] for row in running.workers("w") if row["wid"] != LEAKER} == siblings
    assert all(map(alive, siblings.values()))


def test_an_oom_kill_takes_the_whole_group_where_that_is_asked_for(daemon: StartDaemon, tmp_path: Path) -> None:
    """The kernel takes the child, which is the larger; the shell that waits for it would go on."""
    survived, pids = tmp_path / "survived", tmp_path / "pids"
    child = "/usr/bin/python3 -I -S -c 'import time; time.sleep(0.5); b = bytearray(96 << 20)'"
    script = f"echo $$ >> {quoted(pids)}; sleep 1000 & {child}; echo >> {quoted(survived)}; exec sleep 1000"
    limits = {"memory_max": "24M", "memory_swap_max": 0, "memory_oom_group": True}
    spec = {"cmd": sh(script), "limits": limits, "backoff": {"initial": 1000, "max": 1000}, "min_uptime": 60}
    running = daemon(watchers={"w": spec}, on_missing="warn")
    (end,) = until(lambda: events(running, "exit"), 30, "the end of the group")
    assert (end["exit"]["reason"], end["exit"]["signal"]) == ("oom", 9)
    until(lambda: running.workers("w")[0]["phase"] == "backoff", 20, "the emptied group")
    assert not alive(int(lines_of(pids)[0]))
    if Path("/sys/fs/cgroup/memory/memory.oom_control").exists():  # v1: the kernel took one, and the daemon the rest
        assert [one["verdict"] for one in events(running, "decision")] == ["kill"]


def test_without_that_the_rest_of_the_group_goes_on(daemon: StartDaemon, tmp_path: Path) -> None:
    survived = tmp_path / "survived"
    child = "/usr/bin/python3 -I -S -c 'b = bytearray(96 << 20)'"
    script = f"{child}; echo $? >> {quoted(survived)}; exec sleep 1000"
    spec = {"cmd": sh(script), "limits": {"memory_max": "24M", "memory_swap_max": 0}}
    running = daemon(watchers={"w": spec}, on_missing="warn")
    until(lambda: lines_of(survived) == ["137"], 20, "the shell's word that its child was killed")
    (row,) = running.wait_phase("w")
    assert row["generation"] == 1 and alive(row["pid"])


@pytest.mark.parametrize("whole", [True, False], ids=["as a whole", "alone"])
def test_who_is_to_go_along_is_said_while_it_runs(daemon: StartDaemon, tmp_path: Path, whole: bool) -> None:
    """On v1 it is for the daemon to do, or to leave."""
    go, survived = tmp_path / "go", tmp_path / "survived"
    child = "/usr/bin/python3 -I -S -c 'b = bytearray(96 << 20)'"
    log = f"while sleep 0.5; do echo >> {quoted(survived)}; done"
    script = f"until [ -e {quoted(go)} ]; do sleep 0.05; done; {child}; {log}"
    limits = {"memory_max": "24M", "memory_swap_max": 0, "memory_oom_group": not whole}
    spec = {"cmd": sh(script), "limits": limits, "backoff": {"initial": 1000, "max": 1000}, "min_uptime": 60}
    running = daemon(watchers={"w": spec}, on_missing="warn")
    (row,) = running.wait_phase("w")
    running.ctl("set", "w", f"limits.memory_oom_group={str(whole).lower()}")
    assert alive(row["pid"])
    go.touch()
    if whole:
        (end,) = until(lambda: events(running, "exit"), 30, "the end of the group")
        assert (end["exit"]["reason"], end["exit"]["signal"]) == ("oom", 9)
    else:
        until(lambda: len(lines_of(survived)) > 2, 30, "the shell to go on without its child")
        assert alive(row["pid"]) and not events(running, "exit")


@pytest.mark.host_may_lack("memory_high needs the v2 memory controller")
def test_a_worker_that_stands_still_at_memory_high_is_ended(daemon: StartDaemon) -> None:
    """The kernel neither ends it nor lets it go on."""
    if not any(
        "memory" in path.read_text().split() for path in (Path("/sys/fs/cgroup/cgroup.controllers"),) if path.exists()
    ):
        pytest.skip("memory_high needs the v2 memory controller")
    if not os.path.exists("/proc/pressure/memory"):
        pytest.skip("the kernel tells no pressure")
    hog = python("b = bytearray(256 << 20)\nwhile True:\n  for i in range(0, len(b), 4096): b[i] = 1")
    policy = {"stalled_at": 10, "stalled_after": 1}
    limits = {"memory_high": "24M", "memory_swap_max": 0}
    running = daemon(watchers={"w": {"cmd": hog, "limits": limits, "memory_policy": policy, "graceful_timeout": 1}})
    (end,) = until(lambda: events(running, "exit"), 60, "the end of the stalled worker")
    assert end["exit"]["reason"] == "stalled" and "memory_high" in end["exit"]["detail"]
