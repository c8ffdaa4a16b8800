"""What once broke it, or could have: each of these was found by somebody who tried."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

from circus_cg.host import dirs
from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import alive, arbiter_of, launcher_of, quoted, sh
from tests.scratch_groups import members_of

SLEEP = ["sleep", "1000"]
STUBBORN = "trap '' TERM; while :; do sleep 0.05; done"


def test_a_realtime_signal_that_kills_the_arbiter_is_no_riddle_to_the_keeper(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (before,) = running.wait_phase("w")
    arbiter = until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGRTMIN + 1)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None))
    running.wait_answering()
    assert [row["pid"] for row in running.wait_phase("w")] == [before["pid"]]


def test_modules_in_the_working_directory_are_not_run_as_root(tmp_path: Path, scratch_name: str) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for module in ("random", "json", "select"):
        (trap / f"{module}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'a').write('x')\n")
    one = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": SLEEP}}})
    log = one.log.open("wb")
    command = [PROGRAM, "run", str(one.config)]
    one.process = subprocess.Popen(command, env=one.environment, cwd=trap, stdout=log, stderr=log)
    try:
        one.wait_answering()
        one.wait_phase("w")
    finally:
        status = one.terminate()
        log.close()
    assert status == 0 and not (tmp_path / "sprung").exists()


def test_a_quit_is_remembered_by_the_next_arbiter(tmp_path: Path, scratch_name: str) -> None:
    configuration = {"watchers": {"slow": {"cmd": sh(STUBBORN), "graceful_timeout": 3}, "w": {"cmd": SLEEP}}}
    with Daemon(tmp_path, scratch_name, configuration) as running:
        running.wait_phase("slow")
        running.ctl("quit", "--no-wait")
        arbiter = until(lambda: arbiter_of(running.pid))
        os.kill(arbiter, signal.SIGKILL)
        assert running.process is not None
        assert running.process.wait(30 * SLOWNESS) == 0


def test_a_stop_that_is_waited_for_survives_the_arbiter(daemon: StartDaemon, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    cmd = sh(f"trap '' TERM; echo > {quoted(ready)}; while :; do sleep 0.05; done")
    running = daemon(watchers={"slow": {"cmd": cmd, "graceful_timeout": 2 * SLOWNESS}})
    until(ready.exists)
    (row,) = running.wait_phase("slow")
    waiter = threading.Thread(target=running.ctl, args=("stop", "slow"))
    waiter.start()
    until(lambda: running.workers("slow")[0]["phase"] == "stopping")
    os.kill(until(lambda: arbiter_of(running.pid)), signal.SIGKILL)
    waiter.join(60 * SLOWNESS)
    assert not waiter.is_alive() and not alive(row["pid"])


def test_a_wait_for_a_stop_ends_when_somebody_starts_it_again(daemon: StartDaemon) -> None:
    running = daemon(watchers={"slow": {"cmd": sh(STUBBORN), "graceful_timeout": 2}})
    running.wait_phase("slow")
    waiter = threading.Thread(target=running.ctl, args=("stop", "slow"))
    waiter.start()
    until(lambda: running.workers("slow")[0]["phase"] == "stopping")
    running.ctl("start", "slow")
    waiter.join(30 * SLOWNESS)
    assert not waiter.is_alive()
    running.wait_phase("slow")


def test_a_daemon_short_of_descriptors_keeps_what_it_has(tmp_path: Path, scratch_name: str) -> None:
    """64 descriptors for 100 workers: the keeper must neither die nor lose one."""
    one = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": SLEEP, "numprocesses": 100}}})

    few = f"ulimit -n 64; exec {PROGRAM} run {one.config}"
    with one.log.open("wb") as log:
        one.process = subprocess.Popen(["/bin/sh", "-c", few], env=one.environment, stdout=log, stderr=log)
    try:
        one.wait_answering(30)
        one.wait_phase("w", count=100, seconds=60)
        victim = one.workers("w")[99]
        os.kill(victim["pid"], signal.SIGKILL)
        until(lambda: not alive(victim["pid"]))
        until(lambda: one.workers("w")[99]["last_exit"] is not None, why="the end of a worker without a pidfd")
    finally:
        assert one.terminate() == 0
    assert not members_of(scratch_name)


def test_a_daemon_without_standard_streams_runs(tmp_path: Path, scratch_name: str) -> None:
    one = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": SLEEP}}})
    closing = f"exec {PROGRAM} run {one.config} <&- >&- 2>&-"
    one.process = subprocess.Popen(["/bin/sh", "-c", closing], env=one.environment)
    try:
        one.wait_answering()
        one.wait_phase("w")
    finally:
        assert one.terminate() == 0


def test_another_runtime_directory_is_no_way_round_the_name(daemon: StartDaemon, tmp_path: Path) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (before,) = running.wait_phase("w")
    elsewhere = tmp_path / "b"  # a socket's path has its bounds
    elsewhere.mkdir()
    second = Daemon(elsewhere, running.name, {"watchers": {"w": {"cmd": SLEEP}}}).start()
    assert second.process is not None
    assert second.process.wait(30 * SLOWNESS) == 4, second.output
    assert running.wait_phase("w")[0]["pid"] == before["pid"]


def test_asking_whether_a_daemon_runs_keeps_none_from_starting(tmp_path: Path, scratch_name: str) -> None:
    places = dirs.Dirs(tmp_path / "run", tmp_path / "state")
    dirs.make(places)
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            dirs.is_locked(places)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(500):
            os.close(dirs.lock(places, scratch_name))
    finally:
        over.set()
        asking.join()
    assert not dirs.is_locked(places)


def test_a_stopped_launcher_is_replaced(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "min_uptime": 0}})
    (before,) = running.wait_phase("w")
    launcher = until(lambda: launcher_of(running.pid))
    os.kill(launcher, signal.SIGSTOP)
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: launcher_of(running.pid) not in (launcher, None), 30, "another launcher")
    until(lambda: running.wait_phase("w")[0]["pid"] != before["pid"], why="the replacement")
