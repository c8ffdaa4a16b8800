"""How a worker is asked to leave, and that one that does not leave holds up nobody else."""

from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.evidence import alive, arbiter_of, group_dirs, lines_of, python, quoted, sh

SLEEP = ["sleep", "1000"]


def listening(log: Path, *, leaves_at: str = "") -> list[str]:
    """Writes down each signal that it gets, and leaves at one of them."""
    return python(
        "import signal, sys, time\n"
        f"log = open({str(log)!r}, 'a', buffering=1)\n"
        "def got(number, _):\n"
        "    name = signal.Signals(number).name[3:]\n"
        "    log.write(name + '\\n')\n"
        f"    if name == {leaves_at!r}: sys.exit(0)\n"
        "for one in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP): signal.signal(one, got)\n"
        "log.write('up\\n')\n"
        "while True: time.sleep(1)"
    )


def test_signals_follow_each_other_until_it_leaves(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop = ["TERM 300ms", "INT 300ms", "QUIT 60s"]
    running = daemon(watchers={"w": {"cmd": listening(log, leaves_at="QUIT"), "stop": stop}})
    until(lambda: lines_of(log) == ["up"], why="the worker")
    began = time.monotonic()
    running.ctl("stop", "w")
    assert time.monotonic() - began >= 0.6
    assert lines_of(log) == ["up", "TERM", "INT", "QUIT"]
    running.ctl("start", "w")
    (row,) = running.wait_phase("w")
    assert row["last_exit"]["code"] == 0


def test_after_the_last_one_its_group_is_killed(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = daemon(watchers={"w": {"cmd": listening(log), "stop": "TERM 200ms, INT 200ms"}})
    until(lambda: lines_of(log) == ["up"], why="the worker")
    (row,) = running.wait_phase("w")
    running.ctl("stop", "w")
    assert lines_of(log) == ["up", "TERM", "INT"]
    assert not alive(row["pid"])


def test_the_next_arbiter_goes_on_where_the_dead_one_was(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop = ["TERM 100ms", "INT 3s", "QUIT 60s"]
    running = daemon(watchers={"w": {"cmd": listening(log, leaves_at="QUIT"), "stop": stop}})
    until(lambda: lines_of(log) == ["up"], why="the worker")
    running.ctl("stop", "w", "--no-wait")
    until(lambda: lines_of(log)[-1] == "INT", why="the second signal")
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: lines_of(log)[-1] == "QUIT", why="the third signal")
    assert lines_of(log) == ["up", "TERM", "INT", "QUIT"]


@pytest.mark.parametrize("whole", [True, False])
def test_the_stop_signal_reaches_the_group_if_it_is_to(daemon: StartDaemon, tmp_path: Path, whole: bool) -> None:
    """And what circus calls children is here all that the worker started, a session of its own included."""
    child, parent = tmp_path / "child", tmp_path / "parent"
    end = f"echo TERM >> {quoted(parent)}; sleep 0.5; exit 0"
    cmd = sh(f"setsid {shlex.join(listening(child))} & trap '{end}' TERM; while :; do sleep 0.1; done")
    running = daemon(watchers={"w": {"cmd": cmd, "stop_children": whole}})
    until(lambda: lines_of(child) == ["up"], why="the child")
    running.wait_phase("w")
    running.ctl("stop", "w")
    assert lines_of(parent) == ["TERM"]
    assert lines_of(child) == (["up", "TERM"] if whole else ["up"])


def test_a_reload_is_a_hangup_where_it_is_to_be(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = daemon(watchers={"w": {"cmd": listening(log), "send_hup": True, "graceful_timeout": 0.2}})
    until(lambda: lines_of(log) == ["up"], why="the worker")
    (before,) = running.wait_phase("w")
    running.ctl("reload", "w")
    until(lambda: lines_of(log) == ["up", "HUP"], why="the hangup")
    assert running.wait_phase("w")[0]["pid"] == before["pid"]


# --- Whoever does not leave holds up nobody.


@pytest.mark.parametrize("how", ["stopped", "frozen by another"])
def test_one_that_stands_still_is_killed_in_its_time_and_nobody_waits_for_it(
    daemon: StartDaemon, how: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    watchers = {"still": {"cmd": listening(log), "graceful_timeout": 5}, "other": {"cmd": SLEEP, "min_uptime": 0}}
    running = daemon(watchers=watchers)
    until(lambda: lines_of(log) == ["up"], why="the worker")
    (row,) = running.wait_phase("still")
    (other,) = running.wait_phase("other")
    if how == "stopped":
        os.kill(row["pid"], signal.SIGSTOP)
    else:
        freeze(running.name, f"{row['wid']}.{row['generation']}")
    running.ctl("stop", "still", "--no-wait")
    os.kill(other["pid"], signal.SIGKILL)  # while it is waited for, others are replaced
    (renewed,) = until(lambda: [one for one in running.wait_phase("other") if one["pid"] != other["pid"]]) or []
    assert running.workers("still")[0]["phase"] == "stopping"
    assert alive(row["pid"]) and alive(renewed["pid"])
    until(lambda: running.workers("still") == [], 15 * SLOWNESS, "the end of what stood still")
    assert not alive(row["pid"])


def freeze(name: str, life: str) -> None:
    """As somebody else would: by the kernel's file."""
    for group in group_dirs(name, "still", life):
        if (group / "cgroup.freeze").exists():
            (group / "cgroup.freeze").write_text("1")
            return
    for group in group_dirs(name, "still", life):
        if (group / "freezer.state").exists():
            (group / "freezer.state").write_text("FROZEN")
            return
    pytest.skip("no freezer here")
