"""Signals to workers, to what they forked, to their groups; kill; and which watchers a pattern means."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import alive, lines_of, python

SLEEP = ["sleep", "1000"]
# A worker, its child, its grandchild, and one that left its session and its parents: each notes who was hit.
FAMILY = """
import os, signal, sys, time
def life(name):
    signal.signal(signal.SIGUSR1, lambda *_: os.write(log, (name + "\\n").encode()))
    os.write(pids, f"{name} {os.getpid()}\\n".encode())
log, pids = (os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for path in sys.argv[1:])
if os.fork() == 0:
    if os.fork() == 0:
        life("grandchild")
    elif os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        life("stray")
    else:
        life("child")
else:
    life("worker")
while True:
    time.sleep(1000)
"""


@pytest.fixture
def family(daemon: StartDaemon, tmp_path: Path) -> tuple[Daemon, dict[str, int], Path]:
    hits, born = tmp_path / "hits", tmp_path / "born"
    running = daemon(watchers={"w": {"cmd": [*python(FAMILY), str(hits), str(born)]}})
    until(lambda: len(lines_of(born)) == 4, why="the family")
    pids = {name: int(pid) for name, pid in (line.split() for line in lines_of(born))}
    return running, pids, hits


@pytest.mark.parametrize(
    ("how", "hit"),
    [
        ((), {"worker"}),
        (("--children",), {"child"}),
        (("--children", "--recursive"), {"child", "grandchild"}),
        (("--recursive",), {"worker", "child", "grandchild"}),
        (("--group",), {"worker", "child", "grandchild", "stray"}),
    ],
)
def test_a_signal_hits_whom_it_is_meant_for(
    family: tuple[Daemon, dict[str, int], Path], how: tuple[str, ...], hit: set[str]
) -> None:
    running, pids, hits = family
    told = running.ctl("signal", "w", "USR1", *how)["signalled"]
    assert sorted(told) == sorted(pids[name] for name in hit)
    until(lambda: set(lines_of(hits)) == hit, why=f"{hit} hit")
    running.ctl("signal", "w", "USR1", "--group")  # whoever was hit wrongly would have written before this
    until(lambda: len(lines_of(hits)) == len(hit) + 4)
    assert set(lines_of(hits)[: len(hit)]) == hit


def test_one_child_is_hit_by_its_pid_and_a_stranger_is_not(family: tuple[Daemon, dict[str, int], Path]) -> None:
    running, pids, hits = family
    running.ctl("signal", "w", str(pids["worker"]), str(pids["grandchild"]), "USR1")
    until(lambda: lines_of(hits) == ["grandchild"])
    for stranger in (os.getpid(), running.pid, pids["stray"]):
        with pytest.raises(Refused, match="no such process"):
            running.ctl("signal", "w", str(pids["worker"]), str(stranger), "USR1")
    with pytest.raises(Refused, match="no worker with pid"):
        running.ctl("signal", "w", str(pids["child"]), "USR1")


def test_kill_takes_its_own_signal_and_patience_for_this_once(daemon: StartDaemon) -> None:
    deaf = python("import signal, time\nsignal.signal(2, signal.SIG_IGN)\nwhile True: time.sleep(1000)")
    running = daemon(watchers={"w": {"cmd": deaf, "numprocesses": 2, "graceful_timeout": 600, "min_uptime": 0}})
    before = {row["wid"]: row["pid"] for row in running.wait_phase("w", count=2)}
    running.ctl("kill", "w", "--wid", "2", "--signal", "INT", "--graceful-timeout", "300ms")
    after = {row["wid"]: row for row in running.wait_phase("w", count=2)}
    assert after[1]["pid"] == before[1] and after[2]["pid"] != before[2]
    assert after[2]["last_exit"]["reason"] == "killed" and after[2]["restarts"] == 0
    assert running.ctl("get", "w", "graceful_timeout", "stop_signal")["options"] == {
        "graceful_timeout": 600.0,
        "stop_signal": signal.SIGTERM,
    }


def test_a_pattern_means_the_watchers_that_it_matches(daemon: StartDaemon) -> None:
    running = daemon(watchers={name: {"cmd": SLEEP} for name in ("web-1", "web-2", "mail")})
    running.ctl("stop", "web-*")
    assert running.ctl("status")["statuses"] == {"web-1": "stopped", "web-2": "stopped", "mail": "active"}
    running.ctl("start", "--match", "regex", "web-[12]$")
    assert running.ctl("status", "web-*")["statuses"] == {"web-1": "active", "web-2": "active"}
    with pytest.raises(Refused, match=r"program web-\* not found"):
        running.ctl("stop", "--match", "simple", "web-*")
    before = {row["watcher"]: row["pid"] for row in running.workers()}
    running.ctl("restart", "web-1", "MAIL")
    after = {row["watcher"]: row["pid"] for row in running.workers()}
    assert [name for name in before if before[name] != after[name]] == ["web-1", "mail"]


def test_restart_without_a_name_renews_every_worker(daemon: StartDaemon) -> None:
    running = daemon(watchers={"a": {"cmd": SLEEP}, "b": {"cmd": SLEEP, "numprocesses": 2}})
    running.wait_phase("b", count=2)
    before = [row["pid"] for row in running.workers()]
    running.ctl("restart")
    after = [row["pid"] for row in running.workers()]
    assert len(after) == 3 and not set(before) & set(after) and not any(map(alive, before))
