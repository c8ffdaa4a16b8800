"""Who may die, and who brings it back: the keeper its arbiter, systemd the keeper."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import until
from tests.functional.evidence import alive, arbiter_of, python
from tests.functional.system.conftest import StartService
from tests.functional.system.service import Service, in_guest_of_our_own

pytestmark = in_guest_of_our_own
SLEEP = ["sleep", "1000"]
HOG = "b = bytearray(512 << 20)"


def pids(running: Service, count: int = 2) -> set[int]:
    return {row["pid"] for row in running.workers(count)}


def test_a_killed_arbiter_is_replaced_and_systemd_sees_no_failure(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    keeper, workers, arbiter = running.pid, pids(running), running.arbiter()
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(keeper) not in (arbiter, None), why="the next arbiter")
    assert pids(running) == workers
    assert (running.pid, running.show("NRestarts"), running.show("ActiveState")) == (keeper, "0", "active")
    until(lambda: running.show("StatusText") == "supervising 1 watchers", why="the status to be good news again")


def test_a_killed_keeper_takes_its_workers_along_and_systemd_starts_clean(service: StartService) -> None:
    """Also those that left their session, and with another arbiter, launcher and groups."""
    fork = "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(1000)"
    running = service({"w": {"cmd": python(fork), "numprocesses": 2}})
    keeper, workers, arbiter = running.pid, pids(running), running.arbiter()
    members = {int(pid) for group in running.groups() for pid in (group / "cgroup.procs").read_text().split()}
    assert len(members) > len(workers) + 2
    os.kill(keeper, signal.SIGKILL)
    running.wait_restarted(30)
    assert not [pid for pid in members | workers | {arbiter} if alive(pid)]
    assert not pids(running) & workers
    lives = {group.name for group in running.groups() if group.parent.name == "w"}
    assert lives == {"1.1", "2.1"}


@pytest.mark.timeout(180)
def test_a_stopped_arbiter_is_replaced_by_the_keeper_before_the_watchdog_bites(service: StartService) -> None:
    """The keeper's law: a ping after 10 s of silence, death 20 s later. The unit's watchdog waits for two minutes."""
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    keeper, workers, arbiter = running.pid, pids(running), running.arbiter()
    os.kill(arbiter, signal.SIGSTOP)
    until(lambda: arbiter_of(keeper) not in (arbiter, None), 60, "the next arbiter")
    assert not alive(arbiter)
    assert pids(running) == workers
    assert (running.pid, running.show("NRestarts")) == (keeper, "0")


@pytest.mark.timeout(180)
def test_a_watchdog_shorter_than_the_arbiters_silence_restarts_the_whole_service(service: StartService) -> None:
    """Whoever sets it below 30 s gets what he asked for: no word is sent for an arbiter that does not answer."""
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}}, overrides="WatchdogSec=20")
    keeper, workers = running.pid, pids(running)
    os.kill(running.arbiter(), signal.SIGSTOP)
    running.wait_restarted(90)
    assert running.pid != keeper and not [pid for pid in workers if alive(pid)]
    assert not pids(running) & workers


@pytest.mark.timeout(120)
def test_the_watchdog_is_fed_while_all_is_well_and_ends_a_stopped_keeper(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}}, overrides="WatchdogSec=6")
    keeper, workers = running.pid, pids(running)
    fed = running.show("WatchdogTimestampMonotonic")
    for _ in range(3):  # three periods and more
        seen = fed
        fed = until(lambda last=seen: (now := running.show("WatchdogTimestampMonotonic")) != last and now, 10, "a word")
    assert (running.pid, running.show("NRestarts")) == (keeper, "0")
    os.kill(keeper, signal.SIGSTOP)
    running.wait_restarted(60)
    assert not [pid for pid in {keeper} | workers if alive(pid)]
    assert not pids(running) & workers


def test_a_worker_killed_at_its_own_limit_is_the_daemons_business(service: StartService) -> None:
    hog = {"cmd": python(f"import time; time.sleep(1); {HOG}"), "limits": {"memory_max": "32M"}}
    running = service({"w": {"cmd": SLEEP}, "hog": hog})
    keeper, calm = running.pid, pids(running, 1)
    assert running.first_end("hog")["reason"] == "oom"
    assert (running.pid, running.show("ActiveState"), running.show("NRestarts")) == (keeper, "active", "0")
    assert pids(running, 1) == calm
