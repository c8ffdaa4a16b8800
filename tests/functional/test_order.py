"""Who begins before whom, and stops after: by real processes that write down when."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import arbiter_of, lines_of, quoted, sh


def noting(log: Path, name: str, *, ready_after: float = 0.0) -> list[str]:
    """Says when it begins, becomes ready and ends."""
    up = f"sleep {ready_after}; echo {name} up >> {quoted(log)}; echo READY >&3"
    end = f"trap 'sleep 0.2; echo {name} down >> {quoted(log)}; exit 0' TERM"
    return sh(f"{end}; echo {name} begins >> {quoted(log)}; {up}; exec 3>&-; while :; do sleep 0.05; done")


def speaking(log: Path, name: str, ready_after: float = 0.0, **more: object) -> dict[str, object]:
    return {"cmd": noting(log, name, ready_after=ready_after), "ready": "fd", **more}


def test_who_requires_another_begins_when_that_is_ready_and_stops_first(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    watchers = {
        "web": speaking(log, "web", requires=["db"]),
        "db": speaking(log, "db", ready_after=0.4, after=["disk"]),
        "disk": speaking(log, "disk", ready_after=0.4),
    }
    running = daemon(watchers=watchers)
    running.ctl("wait", "web")
    names = ("disk", "db", "web")
    assert lines_of(log) == [f"{name} {word}" for name in names for word in ("begins", "up")]
    running.ctl("quit")
    assert running.process is not None
    running.process.wait(30)
    assert lines_of(log)[6:] == [f"{name} down" for name in reversed(names)]


def test_a_dependant_is_held_and_says_for_whom_it_waits(daemon: StartDaemon, tmp_path: Path) -> None:
    log, allowed = tmp_path / "log", tmp_path / "allowed"
    tries = f"test -e {quoted(allowed)} || exit 1; echo >&3; exec sleep 1000"
    db = {"cmd": sh(tries), "ready": "fd", "backoff": {"initial": 0.2, "max": 0.2}}
    running = daemon(watchers={"db": {**db, "flapping": {"attempts": 0}}, "web": speaking(log, "web", requires=["db"])})
    until(lambda: running.workers("db"), why="db's tries")
    found = running.ctl("status", "web")
    assert found["statuses"] == {"web": "starting"}
    assert found["held"]["web"].startswith("requires db, which is ")
    assert running.workers("web") == [] and lines_of(log) == []
    assert "requires db" in running.command("status").stdout
    assert "web is held: requires db" in running.command("ps").stdout
    allowed.touch()
    running.wait_phase("web")
    assert "held" not in running.ctl("status", "web")
    running.ctl("stop", "db")
    running.wait_phase("web")  # who has begun goes on


def test_a_job_that_has_done_its_work_is_as_good_as_ready(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    migrate = sh(f"echo migrating >> {quoted(log)}; sleep 0.3; echo migrated >> {quoted(log)}")
    watchers = {
        "migrate": {"cmd": migrate, "restart": "on-failure", "ready": "notify"},  # it never says so, but it ends well
        "web": {"cmd": sh(f"echo web >> {quoted(log)}; exec sleep 1000"), "requires": "migrate"},
    }
    running = daemon(watchers=watchers)
    until(lambda: len(lines_of(log)) == 3, why="web")
    running.wait_phase("migrate", "done")
    assert lines_of(log) == ["migrating", "migrated", "web"]


def test_a_job_that_failed_for_good_holds_who_requires_it(daemon: StartDaemon) -> None:
    job = {"cmd": sh("exit 3"), "restart": "never", "ready": "notify"}
    running = daemon(watchers={"job": job, "web": {"cmd": ["sleep", "1000"], "requires": ["job"]}})
    running.wait_phase("job", "done")
    assert running.ctl("status", "web")["held"] == {"web": "requires job, which is not running"}
    assert running.workers("web") == []


def test_after_is_no_more_than_an_order(daemon: StartDaemon) -> None:
    job = {"cmd": sh("exit 3"), "restart": "never", "ready": "notify"}
    running = daemon(watchers={"job": job, "web": {"cmd": ["sleep", "1000"], "after": ["job"]}})
    running.wait_phase("web")


def test_a_stop_while_it_is_held_ends_that(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    watchers = {"db": {"cmd": ["sleep", "1000"], "autostart": False}, "web": speaking(log, "web", requires=["db"])}
    running = daemon(watchers=watchers)
    assert running.ctl("status", "web")["statuses"] == {"web": "starting"}
    running.ctl("stop", "web")
    assert running.ctl("status", "web") == {"statuses": {"web": "stopped"}}
    running.ctl("start", "db")
    assert running.workers("web") == [] and lines_of(log) == []
    running.ctl("start", "web")
    running.wait_phase("web")


def test_the_higher_priority_begins_first_each_after_the_warmup_delay(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    watchers = {
        name: {"cmd": sh(f"echo {name} >> {quoted(log)}; exec sleep 1000"), "priority": priority}
        for name, priority in (("low", -1), ("middle", 0), ("high", 7))
    }
    running = daemon(warmup_delay=0.5, watchers=watchers)
    until(lambda: len(lines_of(log)) == 3, why="all three")
    assert lines_of(log) == ["high", "middle", "low"]
    gaps = [later - earlier for earlier, later in pairwise(births(running))]
    assert all(gap > 0.4 for gap in gaps), gaps


def test_workers_begin_one_after_the_other_with_a_warmup_delay(daemon: StartDaemon) -> None:
    cmd = ["sleep", "1000"]
    running = daemon(watchers={"w": {"cmd": cmd, "numprocesses": 3, "warmup_delay": "400ms", "autostart": False}})
    began = time.monotonic()
    running.ctl("start", "w")  # waits until all are there
    assert time.monotonic() - began > 0.8
    gaps = [later - earlier for earlier, later in pairwise(births(running))]
    assert len(gaps) == 2 and all(gap > 0.3 for gap in gaps), gaps


def births(running: Daemon) -> list[float]:
    """By the kernel's clock: a busy host may let the first instruction wait."""
    return sorted(psutil.Process(row["pid"]).create_time() for row in running.workers())


@pytest.mark.parametrize(
    ("watchers", "told"),
    [
        (
            {"a": {"cmd": "a", "after": ["b"]}, "b": {"cmd": "b", "requires": ["a"]}},
            "after in watcher 'a': a cycle",
        ),
        (
            {"a": {"cmd": "a", "requires": ["bb"]}, "b": {"cmd": "b"}},
            "requires in watcher 'a': there is no watcher 'bb'",
        ),
    ],
)
def test_check_refuses_a_cycle_and_unknown_names_with_the_line(
    tmp_path: Path, scratch_name: str, watchers: dict[str, object], told: str
) -> None:
    running = Daemon(tmp_path, scratch_name, {"watchers": watchers})
    done = subprocess.run(
        [running.program, "check", str(running.config)], env=running.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{running.config}:5: {told}" in done.stderr, done.stderr


def test_who_is_frozen_meanwhile_does_not_end_the_warm_up(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], "numprocesses": 3, "warmup_delay": "2s"}})
    running.wait_phase("w", count=1)
    running.ctl("freeze", "w")
    running.ctl("thaw", "w")
    assert running.ctl("status", "w") == {"statuses": {"w": "starting"}}
    running.wait_phase("w", count=3)
    assert running.ctl("status", "w") == {"statuses": {"w": "active"}}


def test_one_that_is_done_is_not_held_by_a_new_arbiter(daemon: StartDaemon) -> None:
    job = {"cmd": sh("exit 0"), "restart": "never", "requires": ["db"]}
    running = daemon(watchers={"db": {"cmd": ["sleep", "1000"]}, "job": job})
    running.wait_phase("job", "done")
    running.ctl("stop", "db")
    first = arbiter_of(running.pid)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (None, first), why="the next arbiter")
    running.wait_answering()
    assert running.ctl("status", "job") == {"statuses": {"job": "stopped"}}
    running.wait_phase("job", "done")


def test_a_start_does_not_wait_for_what_is_not_on_its_way(daemon: StartDaemon) -> None:
    watchers = {
        "db": {"cmd": ["sleep", "1000"], "autostart": False},
        "web": {"cmd": ["sleep", "1000"], "requires": ["db"], "autostart": False},
        "page": {"cmd": ["sleep", "1000"], "requires": ["web"], "autostart": False},
    }
    running = daemon(watchers=watchers)
    found = running.ctl("start", "page", "web")
    assert found["statuses"] == {"web": "starting", "page": "starting"}
    assert found["held"] == {"web": "requires db, which is not running", "page": "requires web, which is not running"}
    running.ctl("start")
    assert running.ctl("wait")["statuses"] == dict.fromkeys(watchers, "active")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("set", "db", "requires=web"), "cannot let 'db' wait: none could begin first of db -> web -> db"),
        (("set", "db", 'after=["nobody"]'), "cannot let 'db' wait for 'nobody'"),
        (("set", "db", "after=db"), "none could begin first of db -> db"),
    ],
)
def test_what_could_never_begin_is_refused_at_run_time_too(
    daemon: StartDaemon, change: tuple[str, ...], told: str
) -> None:
    watchers = {"db": {"cmd": ["sleep", "1000"]}, "web": {"cmd": ["sleep", "1000"], "requires": ["db"]}}
    running = daemon(watchers=watchers)
    with pytest.raises(Refused, match=told.replace("[", r"\[")):
        running.ctl(*change)
    assert running.ctl("get", "db", "after", "requires")["options"] == {"after": [], "requires": []}
    running.ctl("set", "web", "after=db", "requires=null")
    assert running.ctl("get", "web", "after", "requires")["options"] == {"after": ["db"], "requires": []}
