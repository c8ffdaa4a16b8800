"""A worker that says nothing more is ended; a frozen one is not, nor one whose arbiter dies."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Row
from tests.functional.evidence import alive, arbiter_of, lines_of, python, quoted, sh
from tests.functional.talker import Talker

PERIOD = 1.0 * SLOWNESS  # seconds


def row(running: Daemon, watcher: str = "w") -> Row:
    (found,) = running.workers(watcher)
    return found


def beating(log: Path) -> list[str]:
    """Says that it is alive five times a period until it is told to be silent (SIGUSR1), and logs how it is ended."""
    code = f"""
import os, signal, socket, sys, time
silent = False
def hush(*_):
    global silent
    silent = True
def end(signum, _):
    open({str(log)!r}, "a").write("ended by %d\\n" % signum)
    os._exit(0)
signal.signal(signal.SIGUSR1, hush)
for signum in (signal.SIGABRT, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(signum, end)
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"])
line.send(b"READY=1")
while True:
    if not silent:
        line.send(b"WATCHDOG=1")
    time.sleep({PERIOD / 5})
"""
    return python(code)


def watched(log: Path, **options: object) -> dict[str, object]:
    return {"cmd": beating(log), "ready": "notify", "watchdog": {"timeout": PERIOD, **options}}


def test_it_is_told_its_period_and_its_own_pid(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    running = daemon(watchers={"w": {"cmd": talker.cmd, "watchdog": {"timeout": "1h"}}})
    seen = until(lambda: talker.environment, why="the worker")
    (there,) = running.wait_phase("w")
    assert seen["WATCHDOG_USEC"] == "3600000000"
    assert seen["WATCHDOG_PID"] == seen["PID"] == str(there["pid"])
    assert there["watchdog"] == 3600


def test_the_launcher_in_python_tells_it_its_own_pid_too(tmp_path: Path, scratch_name: str) -> None:
    talker = Talker(tmp_path)
    watchers = {"w": {"cmd": talker.cmd, "watchdog": {"timeout": "1h"}}}
    with Daemon(tmp_path, scratch_name, {"watchers": watchers}, CIRCUS_CG_LAUNCHER="fork") as running:
        seen = until(lambda: talker.environment, why="the worker")
        assert seen["WATCHDOG_PID"] == seen["PID"] == str(running.wait_phase("w")[0]["pid"])


def test_one_that_falls_silent_is_ended_by_the_watchdogs_signal_and_replaced(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    running = daemon(watchers={"w": watched(log)})
    (before,) = running.wait_phase("w")
    time.sleep(2 * PERIOD)
    assert row(running)["pid"] == before["pid"], "it is heard"
    os.kill(before["pid"], signal.SIGUSR1)
    until(lambda: row(running)["generation"] == 2, 20)
    assert lines_of(log) == [f"ended by {signal.SIGABRT:d}"]
    assert row(running)["last_exit"]["reason"] == "watchdog"


def test_it_may_be_ended_by_another_signal_and_is_killed_if_it_ignores_that(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    hung = sh(f"trap 'echo asked >> {quoted(log)}' QUIT; while :; do sleep 0.05; done")
    watcher = {"cmd": hung, "watchdog": {"timeout": PERIOD, "signal": "QUIT"}, "graceful_timeout": 0.3}
    running = daemon(watchers={"w": watcher})
    (before,) = running.wait_phase("w")
    until(lambda: row(running)["generation"] == 2, 20)
    assert lines_of(log)[:1] == ["asked"]
    assert not alive(before["pid"])
    assert row(running)["last_exit"]["signal"] == signal.SIGKILL


def test_a_frozen_worker_is_not_watched(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = daemon(watchers={"w": watched(log)})
    (before,) = running.wait_phase("w")
    running.ctl("freeze", "w")
    time.sleep(3 * PERIOD)
    running.ctl("thaw", "w")
    time.sleep(PERIOD)
    assert row(running)["pid"] == before["pid"]
    assert lines_of(log) == []


def test_the_death_of_an_arbiter_ends_nobody_who_speaks_and_forgives_nobody_who_does_not(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    running = daemon(watchers={"v": watched(other), "w": watched(log)})
    (before,), (speaks,) = running.wait_phase("w"), running.wait_phase("v")
    os.kill(before["pid"], signal.SIGUSR1)
    arbiter = until(lambda: arbiter_of(running.pid)) or 0
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter")
    running.wait_answering()
    until(lambda: row(running)["generation"] == 2, 20)
    assert row(running)["last_exit"]["reason"] == "watchdog"
    assert row(running, "v")["pid"] == speaks["pid"]


def test_a_worker_may_ask_to_be_ended_or_for_another_period(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    watcher = {"cmd": talker.cmd, "ready": "notify", "watchdog": {"timeout": "1h"}}
    running = daemon(watchers={"w": watcher})
    talker.say("READY=1")
    running.wait_phase("w")
    talker.say("WATCHDOG_USEC=7200000000")
    until(lambda: row(running)["watchdog"] == 7200)
    talker.say("WATCHDOG=trigger")
    until(lambda: row(running)["generation"] == 2)
    assert row(running)["last_exit"]["reason"] == "watchdog"


# -- circus's ------------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[int]:
    """Free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
    yield number


def test_circuss_udp_watchdog_acts_as_circus_ini_says(tmp_path: Path, scratch_name: str, port: int) -> None:
    """circus's own dies of the first worker that it ends."""
    log, beat = tmp_path / "log", tmp_path / "beat"
    loud = (
        "import os, socket, time\n"
        "line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"while True: line.sendto(b'%d;%f' % (os.getpid(), time.time()), ('127.0.0.1', {port}));"
        f" time.sleep({0.1 * SLOWNESS})"
    )
    hung = f"trap 'echo asked >> {quoted(log)}; exit 0' USR1; while :; do sleep 0.05; done"
    beat.write_text(loud)
    running = Daemon(tmp_path, scratch_name, {})
    running.config.unlink()
    running.config = running.config.with_suffix(".ini")
    running.config.write_text(
        f"[circus]\nname = {scratch_name}\n"
        f"[watcher:loud]\ncmd = /usr/bin/python3 -I -S {beat}\n"
        f"[watcher:hung]\ncmd = {tmp_path / 'hung'}\nstop_signal = TERM\n"
        "[watcher:other]\ncmd = sleep 1000\n"
        f"[plugin:watchdog]\nuse = circus.plugins.watchdog.WatchDog\nport = {port}\nloop_rate = {0.4 * SLOWNESS}\n"
        "max_count = 2\nwatchers_regex = ^(loud|hung)$\nwatchers_stop_signal = USR1\nwatchers_graceful_timeout = 5\n"
    )
    running.config.chmod(0o600)
    (tmp_path / "hung").write_text(f"#!/bin/sh\n{hung}\n")
    (tmp_path / "hung").chmod(0o755)
    with running:
        pids = {name: row(running, name)["pid"] for name in ("loud", "other")}
        for generation in (2, 3):
            until(lambda wanted=generation: row(running, "hung")["generation"] == wanted, 30)
        last = row(running, "hung")["last_exit"]
        assert (last["reason"], last["code"]) == ("watchdog", 0)
        assert lines_of(log)[:1] == ["asked"]
        assert {name: row(running, name)["pid"] for name in ("loud", "other")} == pids
        assert not [line for line in Path("/proc/net/udp").read_text().splitlines() if f" 00000000:{port:04X}" in line]


def test_circuss_udp_watchdog_comes_changes_and_goes_with_the_file(daemon: StartDaemon, port: int) -> None:
    watchers = {name: {"cmd": ["sleep", "1000"], "stop_signal": "KILL"} for name in ("w", "v")}
    rule = {"port": port, "loop_rate": 0.2 * SLOWNESS, "max_count": 2, "watchers_regex": "w"}
    running = daemon(watchers=watchers)
    running.wait_phase("w"), running.wait_phase("v")
    for said, ended in ((rule, "w"), ({**rule, "watchers_regex": "v"}, "v")):
        running.write_config({"watchers": watchers, "udp_watchdog": said})
        running.ctl("reloadconfig")
        before = row(running, ended)["generation"]
        until(lambda ended=ended, before=before: row(running, ended)["generation"] > before, 30)
    running.write_config({"watchers": watchers})
    running.ctl("reloadconfig")
    until(lambda: not [line for line in Path("/proc/net/udp").read_text().splitlines() if f":{port:04X} " in line])
