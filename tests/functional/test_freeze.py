"""A frozen worker runs no instruction and stays what it is; a stop thaws it; the arbiter's death changes nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import V2, alive, arbiter_of, quoted, sh

SLEEP = ["sleep", "1000"]


def ticking(path: Path) -> list[str]:
    """Appends a byte every few milliseconds; and so does a child that left its session."""
    loop = f"while :; do printf x >> {quoted(path)}; sleep 0.01; done"
    return sh(f"trap 'echo bye >> {quoted(path)}; exit 0' TERM; setsid /bin/sh -c '{loop}' & {loop}")


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def frozen(running: Daemon, watcher: str | None = "w") -> list[bool]:
    return [row["frozen"] for row in running.workers(watcher)]


def test_a_frozen_worker_and_its_children_run_on_only_after_the_thaw(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "ticks"
    running = daemon(watchers={"w": {"cmd": ticking(log)}})
    until(lambda: size(log) > 10)
    (before,) = running.workers("w")
    assert running.ctl("freeze", "w")["frozen"] == {"w": [1]}
    at = size(log)
    running.ctl("status"), running.ctl("status")  # several ticks' time
    still = size(log)
    assert still - at <= 2, "one that was being written when it froze"
    (row,) = running.workers("w")
    assert (row["frozen"], row["phase"], row["pid"]) == (True, "ready", before["pid"])
    assert "ready, frozen" in running.command("ps", "w").stdout
    running.ctl("status")
    assert size(log) == still
    running.ctl("thaw", "w")
    until(lambda: size(log) > still + 10)
    assert running.workers("w")[0]["pid"] == before["pid"]


@pytest.mark.parametrize("verb", [("stop", "w"), ("restart", "w"), ("rm", "w"), ("set", "w", "env.X=1")])
def test_whoever_must_leave_is_thawed_and_leaves_as_it_should(
    daemon: StartDaemon, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    log = tmp_path / "ticks"
    running = daemon(watchers={"w": {"cmd": ticking(log), "graceful_timeout": 60}})
    until(lambda: size(log) > 10)
    (before,) = running.workers("w")
    running.ctl("freeze", "w")
    running.ctl(*verb, seconds=30)
    assert not alive(before["pid"])
    assert b"bye" in log.read_bytes(), "it was killed instead"
    assert not any(frozen(running, None))


@pytest.mark.skipif(not V2, reason="a process that v1's freezer holds dies when it is thawed, not before")
def test_a_worker_killed_while_it_is_frozen_is_replaced_after_the_thaw(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (before,) = running.wait_phase("w")
    running.ctl("freeze", "w")
    os.kill(before["pid"], signal.SIGKILL)
    (row,) = running.wait_phase("w", "backoff")
    assert row["frozen"]
    running.ctl("start", "w")
    assert running.workers("w")[0]["phase"] == "backoff"
    running.ctl("thaw", "w")
    assert running.wait_phase("w")[0]["generation"] == 2


def test_only_one_worker_is_frozen_when_one_is_named(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 3}})
    running.wait_phase("w", count=3)
    running.ctl("freeze", "w", "--wid", "2")
    assert frozen(running) == [False, True, False]
    running.ctl("thaw", "w")
    assert frozen(running) == [False, False, False]


def test_the_frozen_stay_frozen_and_no_others_when_the_arbiter_dies(daemon: StartDaemon, tmp_path: Path) -> None:
    log, other = tmp_path / "ticks", tmp_path / "others"
    running = daemon(watchers={"w": {"cmd": ticking(log)}, "v": {"cmd": ticking(other)}})
    until(lambda: size(log) > 10 and size(other) > 10)
    running.ctl("freeze", "w")
    running.ctl("freeze", "v")
    running.ctl("thaw", "v")
    kill_arbiter(running)
    still, moving = size(log), size(other)
    assert frozen(running) == [True] and frozen(running, "v") == [False]
    until(lambda: size(other) > moving + 10)
    assert size(log) == still
    running.ctl("thaw", "w")
    until(lambda: size(log) > still)


def test_the_daemon_ends_though_its_workers_are_frozen(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "ticks"
    running = daemon(watchers={"w": {"cmd": ticking(log), "graceful_timeout": 60}})
    until(lambda: size(log) > 10)
    running.ctl("freeze", "w")
    assert running.terminate() == 0
    assert b"bye" in log.read_bytes()


def test_the_keeper_alone_thaws_whom_it_asks_to_leave(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "ticks"
    running = daemon(watchers={"w": {"cmd": ticking(log), "graceful_timeout": 60}})
    until(lambda: size(log) > 10)
    running.ctl("freeze", "w")
    os.kill(running.pid, signal.SIGSTOP)
    arbiter = until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGKILL)
    os.kill(running.pid, signal.SIGTERM)
    os.kill(running.pid, signal.SIGCONT)
    assert running.process is not None
    assert running.process.wait(30) == 0
    assert b"bye" in log.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("freeze", "stopped"), "no such worker is running"),
        (("thaw", "w"), "no such worker is frozen"),
        (("freeze", "w", "--wid", "9"), "no such worker"),
        (("freeze",), "no watcher was named"),
        (("freeze", "*", "--wid", "1"), "name one"),
    ],
)
def test_what_can_not_be_frozen_or_thawed_is_refused(
    daemon: StartDaemon, arguments: tuple[str, ...], told: str
) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}, "stopped": {"cmd": SLEEP, "autostart": False}})
    running.wait_phase("w")
    with pytest.raises(Refused, match=told):
        running.ctl(*arguments)
    assert frozen(running) == [False]
