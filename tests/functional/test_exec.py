"""A command in a worker's group: its limits, its identity, its end; and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon, Refused
from tests.functional.evidence import alive, arbiter_of, group_dirs, lines_of, python, quoted, sh

SLEEP = ["sleep", "1000"]
FORKING = """\
import os, signal
n = 0
try:
    while n < 20:
        if os.fork() == 0:
            signal.pause()
        n += 1
except OSError:
    pass
print(n, flush=True)
"""


def run(running: Daemon, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return running.command("exec", *arguments, seconds=seconds)


def inner(running: Daemon, watcher: str = "w") -> list[Path]:
    return [path for life in group_dirs(running.name, watcher) for path in life.glob("*/exec.*")]


def test_it_runs_in_the_workers_group_as_the_worker_does(daemon: StartDaemon) -> None:
    running = daemon(
        watchers={
            "w": {
                "cmd": SLEEP,
                "numprocesses": 2,
                "env": {"WORD": "a", "N": "$(circus.wid)"},
                "uid": 65534,
                "gid": 65534,
            }
        }
    )
    running.wait_phase("w", count=2)
    done = run(
        running, "w.2", "--", "/bin/sh", "-c", "cat /proc/self/cgroup; echo $WORD $N $(id -u); pwd; echo err >&2"
    )
    assert done.returncode == 0, done.stderr
    assert f"/circus-cg/{running.name}/w/2.1/exec." in done.stdout
    assert done.stdout.splitlines()[-2:] == ["a 2 65534", "/"]
    assert done.stderr == "err\n"
    assert not inner(running)
    assert all(row["generation"] == 1 for row in running.workers("w"))


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -TERM $$", 128 + 15), ("true", 0)])
def test_its_exit_status_is_the_commands_own(daemon: StartDaemon, command: str, status: int) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    assert run(running, "w", "--", *sh(command)).returncode == status


def test_the_workers_limit_binds_it(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"pids_max": 5}}})
    running.wait_phase("w")
    done = run(running, "w", "--", *python(FORKING))
    assert done.stdout.strip() == "3", "the worker and the command are two of the five"
    (row,) = running.workers("w")
    assert row["phase"] == "ready" and alive(row["pid"])


def test_output_is_bounded_and_the_command_is_not_held_up(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    found = running.ctl("exec", "w", "--", "head", "-c", "5000000", "/dev/zero")
    assert (found["code"], len(found["stdout"].encode()) > 0, found["dropped"]) == (0, True, 5_000_000 - (256 << 10))


def test_time_over_kills_it_with_all_it_forked(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "pids"
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (row,) = running.wait_phase("w")
    script = f"setsid sleep 1000 & echo $! >> {quoted(log)}; echo $$ >> {quoted(log)}; trap '' TERM; sleep 1000"
    done = run(running, "w", "--timeout", "500ms", "--", *sh(script))
    assert done.returncode == 124 and "--timeout waits longer" in done.stderr
    for pid in map(int, lines_of(log)):
        assert not alive(pid)
    assert alive(row["pid"]) and not inner(running)


def test_what_it_leaves_behind_ends_with_it(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "pid"
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    assert run(running, "w", "--", *sh(f"setsid sleep 1000 & echo $! > {quoted(log)}")).returncode == 0
    assert not alive(int(log.read_text()))


def test_it_ends_with_its_worker(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "pid"
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    command = [
        PROGRAM,
        "ctl",
        "--name",
        running.name,
        "exec",
        "w",
        "--",
        *sh(f"echo $$ > {quoted(log)}; exec sleep 1000"),
    ]
    asker = subprocess.Popen(command, env=running.environment)
    until(lambda: lines_of(log))
    running.ctl("restart", "w", seconds=30)
    assert asker.wait(20) == 128 + 9
    assert not alive(int(log.read_text()))
    assert running.wait_phase("w")[0]["generation"] == 2


def test_one_whose_arbiter_died_is_ended_by_the_next(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "pid"
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (row,) = running.wait_phase("w")
    command = [
        PROGRAM,
        "ctl",
        "--name",
        running.name,
        "exec",
        "w",
        "--",
        *sh(f"echo $$ > {quoted(log)}; exec sleep 1000"),
    ]
    asker = subprocess.Popen(command, env=running.environment)
    until(lambda: lines_of(log))
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: not alive(int(log.read_text())))
    running.wait_answering()
    assert running.wait_phase("w")[0]["pid"] == row["pid"]
    assert run(running, "w", "--", "true").returncode == 0
    until(lambda: running.ctl("debug")["keeper"]["slots"] == {"running": 1})
    asker.kill()
    asker.wait()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("w.9", "--", "true"), "no worker 9"),
        (("none", "--", "true"), "not found"),
        (("off", "--", "true"), "no worker is running"),
        (("w", "--", "/no/such/program"), "cannot run '/no/such/program': exec: No such file"),
        (("w", "--timeout", "0", "--", "true"), "cannot wait 0 s"),
    ],
)
def test_what_can_not_be_run_is_refused(daemon: StartDaemon, arguments: tuple[str, ...], told: str) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}, "off": {"cmd": SLEEP, "autostart": False}})
    running.wait_phase("w")
    done = run(running, *arguments)
    assert done.returncode == 1 and told in done.stderr
    assert not inner(running)


def test_nothing_is_run_in_a_frozen_worker(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    running.ctl("freeze", "w")
    with pytest.raises(Refused, match="thaw it first"):
        running.ctl("exec", "w", "--", "true")
