"""The arbiter may die at any instant: no worker is lost or doubled, each exit arrives, what the operator did stays."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Row
from tests.functional.evidence import alive, arbiter_of, group_dirs, launcher_of, lines_of, quoted, sh

SLEEP = ["sleep", "1000"]
KILLS = 200 if SLOWNESS <= 1 else 60  # a guest's arbiter takes ten times as long to be there
LIVES = KILLS if SLOWNESS <= 1 else 20  # in a guest few arbiters live long enough to replace a worker
SLOTS = 12 if SLOWNESS <= 1 else 6


def kill_arbiter(running: Daemon) -> None:
    """SIGKILL it, and see the next one there (it need not answer yet)."""
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    # By its law the keeper waits for up to 10 s when many in a row died before they were ready.
    until(lambda: arbiter_of(running.pid) not in (pid, None), 20, why="the next arbiter")


def test_workers_do_not_notice_that_the_arbiter_was_killed(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 3}})
    before = {row["wid"]: row["pid"] for row in running.wait_phase("w", count=3)}
    kill_arbiter(running)
    assert {row["wid"]: row["pid"] for row in running.wait_phase("w", count=3)} == before


def test_a_stop_and_a_count_survive_the_arbiter(daemon: StartDaemon) -> None:
    running = daemon(watchers={"a": {"cmd": SLEEP}, "b": {"cmd": SLEEP}, "c": {"cmd": SLEEP, "autostart": False}})
    running.ctl("stop", "a")
    running.ctl("incr", "b", "2")
    running.ctl("start", "c")
    kill_arbiter(running)
    running.wait_answering()
    running.wait_phase("b", count=3)
    running.wait_phase("c")
    assert running.ctl("status")["statuses"] == {"a": "stopped", "b": "active", "c": "active"}


def test_a_fresh_start_begins_from_the_configuration(tmp_path: Path, scratch_name: str) -> None:
    configuration = {"watchers": {"a": {"cmd": SLEEP}}}
    with Daemon(tmp_path, scratch_name, configuration) as first:
        first.ctl("stop", "a")
    with Daemon(tmp_path, scratch_name, configuration) as second:
        second.wait_phase("a")


def test_a_worker_that_died_while_no_arbiter_lived_is_replaced_and_accounted_for(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "min_uptime": 0}})
    (before,) = running.wait_phase("w")
    arbiter = until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGSTOP)
    os.kill(before["pid"], signal.SIGUSR1)
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None))
    running.wait_answering()
    until(lambda: running.workers("w")[0]["generation"] == 2, why="the replacement")
    assert running.workers("w")[0]["last_exit"]["signal"] == signal.SIGUSR1


def test_sigterm_without_an_arbiter_stops_everything(tmp_path: Path, scratch_name: str) -> None:
    script = "setsid sleep 1000 & exec sleep 1000"
    with Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": sh(script), "numprocesses": 3}}}) as running:
        rows = running.wait_phase("w", count=3)
        arbiter = until(lambda: arbiter_of(running.pid))
        for group in group_dirs(running.name, "w"):
            (group / "1.0").mkdir()  # of a life that is over, whose removal this arbiter owes
        os.kill(arbiter, signal.SIGSTOP)  # it lives but does nothing: only its death hands the stop to the keeper
        os.kill(running.pid, signal.SIGTERM)
        os.kill(arbiter, signal.SIGKILL)
        assert running.process is not None
        assert running.process.wait(30 * SLOWNESS) == 0
        assert not any(alive(row["pid"]) for row in rows)


def test_a_killed_launcher_loses_and_doubles_nothing(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 8, "min_uptime": 0, **UNHELD}})
    rng = random.Random(7)
    for _ in range(20):
        rows = [row for row in running.workers("w") if row["pid"]]
        launcher = launcher_of(running.pid)
        for row in rng.sample(rows, min(4, len(rows))):
            with contextlib.suppress(ProcessLookupError):  # killed a moment ago, and nobody has heard of it yet
                os.kill(row["pid"], signal.SIGKILL)
        if launcher is not None:
            os.kill(launcher, signal.SIGKILL)
    rows = running.wait_phase("w", count=8)
    assert len({row["pid"] for row in rows}) == 8 and all(alive(row["pid"]) for row in rows)
    assert launcher_of(running.pid) is not None


UNHELD = {"backoff": {"initial": 0}, "flapping": {"attempts": 0}}


@pytest.mark.timeout(400)
def test_two_hundred_deaths_under_churn_lose_nothing(daemon: StartDaemon, tmp_path: Path) -> None:
    """Each life writes one line at its birth and exits by itself, with a status that its pid tells."""
    log = tmp_path / "lives"
    log.touch()
    churn = (
        f"echo $$ $(grep -m1 circus-cg /proc/self/cgroup | cut -d: -f3) >> {quoted(log)}; "
        f"i=$(($$ % 7 + 1)); while [ $i -gt 0 ]; do sleep {0.05 * SLOWNESS}; i=$((i-1)); done; exit $(($$ % 50 + 1))"
    )
    watchers = {
        "churn": {"cmd": sh(churn), "numprocesses": SLOTS // 2, "min_uptime": 0, **UNHELD},
        "calm": {"cmd": SLEEP, "numprocesses": SLOTS // 2, "min_uptime": 0, **UNHELD},
    }
    running = daemon(watchers=watchers)
    calm = {row["wid"]: row["pid"] for row in running.wait_phase("calm", count=SLOTS // 2)}
    rng = random.Random(42)
    compared = 0
    for number in range(KILLS):
        kill_arbiter(running)
        time.sleep(rng.random() * 0.25 * SLOWNESS)  # anywhere between its first instruction and its steady state
        if number % 10 == 9:
            running.wait_answering(30)
            compared += statuses_arrived(running.workers("churn"), born(log))
    assert compared > KILLS // 10
    assert {row["wid"]: row["pid"] for row in running.wait_phase("calm", count=SLOTS // 2)} == calm
    running.ctl("stop", "churn")
    lives = born(log)
    assert len(lives) == len(lines_of(log)), "a life was doubled"
    assert len(lives) > LIVES, "the churn did not go on"
    assert not any(alive(pid) for pid in lives.values())
    for wid in range(1, SLOTS // 2 + 1):
        generations = {generation for w, generation in lives if w == wid}
        # The stop may have caught the last one before its first line.
        missing = set(range(1, max(generations))) - generations
        assert not missing, f"lives of wid {wid} that never came to their first line: {sorted(missing)}"


def born(log: Path) -> dict[tuple[int, int], int]:
    """(wid, generation) -> pid of every life that wrote its line."""
    found = {}
    for pid, group in (line.split() for line in lines_of(log)):
        wid, _, generation = group.rpartition("/")[2].partition(".")
        found[int(wid), int(generation)] = int(pid)
    return found


def statuses_arrived(rows: list[Row], lives: dict[tuple[int, int], int]) -> int:
    """How many last exits could be compared with what the life itself was going to say; all must agree."""
    compared = 0
    for row in rows:
        ended = row["generation"] - 1 if row["phase"] in ("ready", "starting") else row["generation"]
        pid = lives.get((row["wid"], ended))
        if pid is not None and row["last_exit"] is not None and row["phase"] != "stopping":
            assert row["last_exit"]["code"] == pid % 50 + 1, row
            compared += 1
    return compared
