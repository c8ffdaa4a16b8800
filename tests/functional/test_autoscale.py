"""Workers are added while all are busy and removed when they are bored; what forbids more is said by its name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon
from tests.functional.evidence import arbiter_of, python, sh
from tests.functional.following import Following
from tests.functional.proc import IdleHost
from tests.functional.talker import Talker

pytestmark = pytest.mark.timeout(180)

# A worker that may use a twentieth of a CPU is busy with it on a host that has others to serve, too.
QUICK = {
    "sample": 1,
    "grow_window": 2,
    "shrink_window": 4,
    "warmup": 0,
    "grow_at": 0.5,
    "target": 0.4,
    "shrink_at": 0.2,
}
SMALL = {"cpu_max": 0.05}
SPIN = python("while True: pass")


def burner(released: Path) -> list[str]:
    """Busy until that file is there."""
    return python(
        f"import os, time\nwhile True:\n  if os.path.exists({str(released)!r}): time.sleep(0.1)\n"
        "  else:\n    for _ in range(9999): pass"
    )


def watcher(cmd: list[str], most: int, policy: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"cmd": cmd, "autoscale": {"max": most, **QUICK, **(policy or {})}, "limits": SMALL, **more}


def decisions(running: Daemon, name: str = "w") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.ctl("events", "--watcher", name, "--kind", "decision")["events"]
    return found


def thought(running: Daemon, name: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = running.ctl("status", name)["autoscale"][name]
    return found


def wait_for_veto(running: Daemon, veto: str) -> dict[str, Any]:
    def told() -> dict[str, Any] | None:
        return next((one for one in decisions(running) if one["inputs"].get("veto") == veto), None)

    return until(told, 60, f"a decision that says {veto}; the last thought: {thought(running)}") or {}


@pytest.fixture
def idle(tmp_path: Path, scratch_name: str) -> Iterator[StartDaemon]:
    """As `daemon`, on a host that always has CPUs to give: on one that others keep busy nothing grows."""
    with contextlib.ExitStack() as running:
        host = running.enter_context(IdleHost(tmp_path))

        def start(**configuration: Any) -> Daemon:
            made = Daemon(tmp_path, scratch_name, configuration)
            made.program = made.program if host.obstacle else str(host.program)
            return running.enter_context(made)

        yield start


@contextlib.contextmanager
def burning(count: int) -> Iterator[None]:
    """Processes outside that take all that is left of the host, behind everybody else."""
    with contextlib.ExitStack() as ends:
        for _ in range(count):
            process = subprocess.Popen(["nice", "-n", "19", sys.executable, "-S", "-c", "while True: pass"])
            ends.callback(process.wait)
            ends.callback(process.kill)
        yield


def test_busy_workers_become_as_many_as_may_be_and_bored_ones_as_few_without_going_up_and_down(
    idle: StartDaemon, tmp_path: Path
) -> None:
    released = tmp_path / "released"
    running = idle(watchers={"w": watcher(burner(released), 4)})
    with Following(running, "--kind", "decision") as following:
        running.wait_phase("w", count=4, seconds=60)
        released.touch()
        running.wait_phase("w", count=1, seconds=60)
        verdicts = [one["verdict"] for one in following.events if one["verdict"] != "hold"]
    assert verdicts == sorted(verdicts) and set(verdicts) == {"grow", "shrink"}
    grown = next(one for one in following.events if one["verdict"] == "grow")
    assert grown["detail"].startswith("add ") and grown["inputs"]["saturation"] >= 0.5
    assert grown["inputs"]["count"] < grown["inputs"]["wanted"]
    begun = running.ctl("events", "--watcher", "w", "--kind", "ready")["events"]
    assert grown["id"] in {one["id"] for one in following.events}
    assert any(one["generation"] == 1 and one["wid"] == 4 for one in begun)


def test_a_watcher_that_uses_up_its_quota_stays_and_says_so(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {**watcher(SPIN, 4), "limits": {}, "watcher_limits": {"cpu_max": 0.1}}})
    told = wait_for_veto(running, "quota-bound")
    assert (told["verdict"], told["inputs"]["wanted"]) == ("hold", 1) and "cpu_max" in told["detail"]
    assert len(running.wait_phase("w")) == 1


def test_a_host_without_idle_cpus_gets_no_more_workers_and_that_is_said(daemon: StartDaemon) -> None:
    with burning(2 * (os.cpu_count() or 1)):
        running = daemon(watchers={"w": {**watcher(SPIN, 4), "limits": {"cpu_max": 0.2}}})
        told = wait_for_veto(running, "starved")
        assert told["verdict"] == "hold" and told["inputs"]["host_idle"] < 0.1
        assert len(running.wait_phase("w")) == 1


def test_a_crash_loop_does_not_grow(daemon: StartDaemon) -> None:
    crash = sh("[ $1 = 2 ] && exit 3; while :; do :; done")
    cmd = [*crash, "sh", "$(circus.wid)"]
    slow = {"backoff": {"initial": 5, "jitter": 0}, "flapping": {"attempts": 0}}
    running = daemon(watchers={"w": watcher(cmd, 4, {"min": 2}, **slow)})
    told = wait_for_veto(running, "crash-loop")
    assert told["inputs"]["flapping"] == 1 and told["inputs"]["wanted"] == 2
    assert len(running.workers("w")) == 2


def test_an_operators_number_stays_whatever_the_load_and_outlives_the_arbiter(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    released = tmp_path / "released"
    released.touch()
    policy = {"shrink_window": 1, "hold": 1000}
    running = daemon(watchers={"w": watcher(burner(released), 4, policy)})
    running.wait_phase("w")
    running.ctl("incr", "w", "2")
    pids = {row["pid"] for row in running.wait_phase("w", count=3)}
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (None, arbiter), 20, "another arbiter")
    until(lambda: thought(running)["veto"] == "pinned", 20, "a look at the pinned watcher")
    shown = thought(running)
    assert shown["pinned"] > 900 and shown["numprocesses"] == 3
    assert "pinned for" in running.command("options", "w").stdout
    assert {row["pid"] for row in running.wait_phase("w", count=3)} == pids
    assert running.ctl("set", "w", "autoscale.hold=0", "numprocesses=4")["action"] == 0
    running.wait_phase("w", count=1, seconds=30)


def test_what_it_grew_to_outlives_the_arbiter_and_a_reading_of_the_configuration(
    idle: StartDaemon, tmp_path: Path
) -> None:
    running = idle(watchers={"w": watcher(burner(tmp_path / "never"), 3)})
    pids = {row["pid"] for row in running.wait_phase("w", count=3, seconds=60)}
    running.ctl("reloadconfig")
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (None, arbiter), 20, "another arbiter")
    until(lambda: running.ctl("status", "w")["statuses"]["w"] == "active", 20, "the next arbiter's answer")
    assert {row["pid"] for row in running.wait_phase("w", count=3)} == pids


def test_a_dry_run_tells_what_it_would_do_and_does_not(idle: StartDaemon, tmp_path: Path) -> None:
    running = idle(watchers={"w": watcher(burner(tmp_path / "never"), 4, {"dry_run": True})})
    told = until(lambda: [one for one in decisions(running) if one["verdict"] == "grow"], 60, "what it would do")
    assert told[0]["detail"].startswith("would add") and told[0]["inputs"]["wanted"] == 1
    assert len(running.workers("w")) == 1


def test_a_policy_that_is_set_acts_and_one_that_is_taken_away_leaves_the_number(
    idle: StartDaemon, tmp_path: Path
) -> None:
    running = idle(watchers={"w": {"cmd": burner(tmp_path / "never"), "limits": SMALL}})
    running.wait_phase("w")
    running.ctl("set", "w", "autoscale.max=2", *(f"autoscale.{key}={value}" for key, value in QUICK.items()))
    running.wait_phase("w", count=2, seconds=60)
    running.ctl("set", "w", "autoscale=null")
    assert "autoscale" not in running.ctl("status", "w")
    assert running.ctl("get", "w", "numprocesses")["options"] == {"numprocesses": 2}
    running.ctl("decr", "w")
    running.ctl("set", "w", "autoscale.max=2", "autoscale.dry_run=true")
    running.ctl("reloadconfig")
    assert running.ctl("get", "w", "numprocesses")["options"] == {"numprocesses": 1}, (
        "not what the first policy came to"
    )


def test_a_watcher_without_policy_or_listener_is_not_looked_at(daemon: StartDaemon, tmp_path: Path) -> None:
    """Its groups' files are opened by who looks at them and kept; so nobody looked."""
    plain = {"cmd": ["sleep", "1000"], "numprocesses": 5}
    running = daemon(watchers={"plain": plain, "scaled": watcher(burner(tmp_path / "never"), 1)})
    before = arbiter_of(running.pid)  # `ps` has looked at all; the next one has nothing open yet
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (before, None), 20, "the next arbiter")
    running.wait_answering()
    until(lambda: thought(running, "scaled")["verdict"], 20, "a look at the other one")

    def looked_at(name: str) -> list[str]:
        arbiter = arbiter_of(running.pid)
        links = Path(f"/proc/{arbiter}/fd").iterdir()
        return [one for link in links if f"/{name}/" in (one := os.readlink(link)) and "cgroup" in one]

    assert looked_at("scaled")
    assert looked_at("plain") == []


def test_what_a_worker_says_of_its_own_load_goes_before_its_cpu(idle: StartDaemon, tmp_path: Path) -> None:
    """It waits for others all the time, and is never busy by its CPU."""
    talker = Talker(tmp_path)
    policy = {"max": 2, "backlog": 10, "shrink_window": 2, **{k: v for k, v in QUICK.items() if k != "shrink_window"}}
    spec = {"cmd": [*talker.cmd, "$(circus.wid)"], "ready": "notify", "autoscale": policy, "limits": SMALL}
    running = idle(watchers={"w": spec})
    talker.say("READY=1|X_BUSY=0.1")
    running.wait_phase("w")
    until(lambda: thought(running)["inputs"] is not None and "saturation" in thought(running)["inputs"], 20, "a look")

    def heard() -> dict[str, Any] | None:
        talker.say("X_BUSY=0.7|X_BACKLOG=12")  # again and again: an old word no longer counts
        said = (one for one in decisions(running) if one["inputs"].get("backlog") == 12)
        return next((one for one in said if one["verdict"] == "grow"), None)  # holds come before it, on a slow host

    told = until(heard, 60, "growth by what it said") or {}
    assert told["inputs"]["overrun"] is True and told["inputs"]["shares"] == {"1": 0.7}
    assert "by the application's own word" in told["detail"]


def test_frozen_workers_look_bored_and_are_not_taken_away_for_it(daemon: StartDaemon) -> None:
    quick = {"sample": 0.5, "grow_window": 1, "shrink_window": 3 * SLOWNESS, "min": 1}
    sleeping = watcher(["sleep", "1000"], 2, quick, numprocesses=2)
    running = daemon(watchers={"still": sleeping, "bored": {**sleeping, "autostart": False}})
    running.wait_phase("still", count=2)
    running.ctl("freeze", "still")
    running.ctl("start", "bored")  # from now on one is looked at as the other would be
    until(lambda: thought(running, "bored")["numprocesses"] == 1, 30, "one bored worker less")
    assert (thought(running, "still")["numprocesses"], len(running.workers("still"))) == (2, 2)
    running.ctl("thaw", "still")
    until(lambda: thought(running, "still")["numprocesses"] == 1, 30, "one that is awake, and bored")
