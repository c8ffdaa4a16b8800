"""Which ends are followed by a new life, and whose end is the daemon's."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon
from tests.functional.evidence import arbiter_of, lines_of, quoted, sh

QUICK = {"min_uptime": 0, "backoff": {"initial": 0}}


def lives(tmp_path: Path, ending: str) -> tuple[Path, list[str]]:
    """A worker that counts its lives in a file, and then ends."""
    log = tmp_path / "lives"
    return log, sh(f"echo life >> {quoted(log)}; {ending}")


@pytest.mark.parametrize(
    ("options", "ending", "reason"),
    [
        ({"restart": "on-failure"}, "exit 0", "exited"),
        ({"restart": "on-failure"}, "kill -TERM $$", "signal"),
        ({"restart": "on-failure", "success_exit_status": [75]}, "exit 75", "exited"),
        ({"restart": "on-failure", "success_exit_status": "USR1"}, "kill -USR1 $$", "signal"),
        ({"restart": "on-abnormal"}, "exit 3", "exited"),
        ({"restart": "never"}, "kill -SEGV $$", "signal"),
        ({"restart_prevent_exit_status": [3]}, "exit 3", "exited"),
    ],
)
def test_an_end_that_is_not_followed_rests_as_done(
    daemon: StartDaemon, tmp_path: Path, options: dict[str, Any], ending: str, reason: str
) -> None:
    log, cmd = lives(tmp_path, ending)
    running = daemon(watchers={"w": {"cmd": cmd, **QUICK, **options}})
    (row,) = running.wait_phase("w", "done")
    assert (row["last_exit"]["reason"], row["restarts"], row["pid"]) == (reason, 0, None)
    assert lines_of(log) == ["life"]
    assert running.ctl("status", "w") == {"statuses": {"w": "stopped"}}
    running.ctl("start", "w", "--no-wait")
    until(lambda: lines_of(log) == ["life", "life"], why="the start to begin it anew")
    running.wait_phase("w", "done")


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"restart": "on-failure"}, "exit 1"),
        ({"restart": "on-failure"}, "kill -KILL $$"),
        ({"restart": "on-abnormal"}, "kill -SEGV $$"),
        ({"restart": "always"}, "exit 0"),
    ],
)
def test_an_end_that_is_followed_is(daemon: StartDaemon, tmp_path: Path, options: dict[str, Any], ending: str) -> None:
    log, cmd = lives(tmp_path, f"test $(wc -l < {quoted(tmp_path / 'lives')}) -ge 3 && exec sleep 1000; {ending}")
    running = daemon(watchers={"w": {"cmd": cmd, **QUICK, **options}})
    until(lambda: len(lines_of(log)) == 3, why="three lives")
    (row,) = running.wait_phase("w")
    assert row["restarts"] == 2


def test_a_worker_that_its_limit_killed_has_failed(daemon: StartDaemon, tmp_path: Path) -> None:
    log, cmd = lives(tmp_path, f"test $(wc -l < {quoted(tmp_path / 'lives')}) -ge 2 && exec sleep 1000; tail /dev/zero")
    options = {"restart": "on-abnormal", "limits": {"memory_max": "32M", "memory_swap_max": 0}}
    running = daemon(on_missing="warn", watchers={"w": {"cmd": cmd, **QUICK, **options}})
    until(lambda: len(lines_of(log)) == 2, seconds=30, why="another life")
    (row,) = running.wait_phase("w")
    assert row["last_exit"]["reason"] == "oom"


def test_done_outlives_the_arbiter(daemon: StartDaemon, tmp_path: Path) -> None:
    log, cmd = lives(tmp_path, "exit 0")
    running = daemon(watchers={"w": {"cmd": cmd, "restart": "never"}})
    running.wait_phase("w", "done")
    first = arbiter_of(running.pid)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (None, first), why="the next arbiter")
    running.wait_answering()
    running.wait_phase("w", "done")
    assert lines_of(log) == ["life"]


@pytest.mark.parametrize(
    ("ending", "options", "code"),
    [
        ("exit 0", {"restart": "never"}, 0),
        ("exit 7", {"restart": "never"}, 7),
        ("kill -KILL $$", {"restart": "on-failure", "restart_prevent_exit_status": ["KILL"]}, 137),
        ("exit 0", {"flapping": {"attempts": 1, "max_retry": 0}}, 1),
    ],
)
def test_the_daemon_ends_with_a_watcher_and_its_exit_code(
    tmp_path: Path, scratch_name: str, ending: str, options: dict[str, Any], code: int
) -> None:
    watchers = {"job": {"cmd": sh(f"sleep 0.2; {ending}"), **options}, "side": {"cmd": ["sleep", "1000"]}}
    running = Daemon(tmp_path, scratch_name, {"exit_with": "job", "watchers": watchers})
    running.start()
    assert running.process is not None
    assert running.process.wait(30 * SLOWNESS) == code, running.output
    running.process = None
    with Daemon(tmp_path, scratch_name, {"watchers": {}}):
        pass  # nothing is left of the first: this one asserts it at its own end


def test_one_that_was_stopped_does_not_take_the_daemon_with_it(daemon: StartDaemon) -> None:
    running = daemon(exit_with="job", watchers={"job": {"cmd": ["sleep", "1000"], "restart": "never"}})
    running.wait_phase("job")
    running.ctl("stop", "job")
    assert running.ctl("status", "job") == {"statuses": {"job": "stopped"}}
    running.ctl("start", "job")
    running.wait_phase("job")
