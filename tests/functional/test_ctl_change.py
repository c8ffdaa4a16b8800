"""Watchers made, changed and unmade while the daemon runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import alive, arbiter_of, group_dirs, group_file, lines_of, quoted, sh

SLEEP = ["sleep", "1000"]


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def pids(running: Daemon, watcher: str) -> dict[int, int]:
    return {row["wid"]: row["pid"] for row in running.workers(watcher) if row["pid"]}


def test_an_added_watcher_runs_in_its_own_limited_groups(daemon: StartDaemon) -> None:
    """The pids controller is one that nothing else of this daemon uses."""
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.ctl("add", "new", "sleep 1000", "--start", "-o", "numprocesses=2", "-o", "limits.pids_max=7")
    running.wait_phase("new", count=2)
    assert group_file(running.name, "new", "2.1", "pids.max").read_text() == "7\n"
    assert running.ctl("status")["statuses"] == {"w": "active", "new": "active"}


def test_a_watcher_that_is_added_without_start_waits_for_one(daemon: StartDaemon) -> None:
    running = daemon(watchers={})
    running.ctl("add", "new", "sleep 1000")
    assert running.ctl("status")["statuses"] == {"new": "stopped"}
    running.ctl("start", "new")
    running.wait_phase("new")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("new", "x", "-o", "numproceses=2"), "did you mean 'numprocesses'"),
        (("new", "x", "-o", "limits.memory_max=lots"), "limits.memory_max: 'lots' is wrong; expected bytes"),
        (("new", "x", "-o", "uid=no-such-user-here"), "no user is named 'no-such-user-here'"),
        (("../new", "x"), "can't be a name"),
        (("W", "x"), "it is there; remove it first"),
        (("new", ""), "no program"),
    ],
)
def test_what_can_not_be_added_is_refused_and_leaves_nothing(
    daemon: StartDaemon, arguments: tuple[str, ...], told: str
) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    with pytest.raises(Refused, match=r"exit status 1") as refused:
        running.ctl("add", *arguments)
    assert told in str(refused.value)
    assert running.ctl("list") == {"watchers": ["w"]}
    assert not group_dirs(running.name, "new")


def test_a_removed_watcher_leaves_no_process_no_group_and_no_memory(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": sh(f"setsid sleep 1000 & echo $! >> {quoted(log)}; exec sleep 1000")}})
    running.wait_phase("w")
    (grandchild,) = map(int, until(lambda: lines_of(log)))
    worker = pids(running, "w")[1]
    running.ctl("restart", "w")
    running.ctl("rm", "w")
    assert not alive(worker) and not alive(grandchild)
    assert running.ctl("list") == {"watchers": []}
    assert not group_dirs(running.name, "w")
    kill_arbiter(running)
    assert running.ctl("list") == {"watchers": []}
    running.ctl("add", "w", "sleep 1000", "--start")
    assert running.wait_phase("w")[0]["generation"] == 1, "the keeper remembered the removed one"


def test_removing_without_stopping_is_refused_with_the_reason(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    with pytest.raises(Refused, match="always has a supervisor"):
        running.ctl("rm", "w", "--nostop")
    running.wait_phase("w")


def test_a_live_option_holds_for_the_workers_that_are_there(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": sh("trap '' TERM; while :; do sleep 0.1; done"), "graceful_timeout": 600}})
    running.wait_phase("w")
    before = pids(running, "w")
    assert running.ctl("set", "w", "graceful_timeout=200ms")["changed"] == ["graceful_timeout"]
    assert pids(running, "w") == before
    running.ctl("stop", "w", seconds=30)
    assert not alive(before[1])


def test_an_option_of_birth_gives_new_workers(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "said"
    running = daemon(watchers={"w": {"cmd": sh(f"echo $WORD >> {quoted(log)}; exec sleep 1000"), "env": {"WORD": "a"}}})
    until(lambda: lines_of(log) == ["a"])
    before = pids(running, "w")
    running.ctl("set", "w", "env.WORD=b")
    until(lambda: lines_of(log) == ["a", "b"])
    assert pids(running, "w") != before
    assert running.ctl("get", "w", "env.WORD")["options"] == {"env.WORD": "b"}


def test_a_count_and_a_command_set_together_begin_each_worker_once(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    running.ctl("set", "w", f"cmd=sh -c 'echo x >> {log}; exec sleep 1000'", "numprocesses=3")
    running.wait_phase("w", count=3)
    until(lambda: len(lines_of(log)) == 3)
    assert [row["generation"] for row in running.workers("w")] == [2, 1, 1]


def test_a_failed_worker_tries_a_corrected_command(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": "/no/such/program", "max_retry": 1, "backoff": {"initial": 0}}})
    running.wait_phase("w", "failed")
    running.ctl("set", "w", "cmd=sleep 1000")
    running.wait_phase("w")


def test_changed_limits_are_in_the_groups_of_the_sum_and_of_new_workers(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"memory_max": "32M"}}})
    (before,) = running.wait_phase("w")
    running.ctl("set", "w", "watcher_limits.memory_max=128M")
    files = ("memory.max", "memory.limit_in_bytes")
    assert int(group_file(running.name, "w", "", *files).read_text()) == 128 << 20
    assert running.wait_phase("w")[0]["pid"] == before["pid"]
    running.ctl("set", "w", "limits.memory_max=64M", "limits.pids_max=9")
    (after,) = running.wait_phase("w")
    life = f"1.{after['generation']}"
    assert int(group_file(running.name, "w", life, *files).read_text()) == 64 << 20
    assert group_file(running.name, "w", life, "pids.max").read_text() == "9\n"
    running.ctl("stop", "w")
    assert not group_dirs(running.name, "w", life) and not group_dirs(running.name, "w", "1.1")


def test_a_refused_set_changes_nothing(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    before, options = pids(running, "w"), running.ctl("options", "w")
    for wrong in ("nice=99", "uid=no-such-user-here", "limits.cpuset_cpus=9999", "cmd="):
        with pytest.raises(Refused):
            running.ctl("set", "w", "numprocesses=5", wrong)
    assert (pids(running, "w"), running.ctl("options", "w")) == (before, options)


def test_a_secret_reaches_the_worker_by_standard_input_and_nobody_else(daemon: StartDaemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    running = daemon(watchers={"w": {"cmd": sh(f"echo $TOKEN > {quoted(seen)}; exec sleep 1000")}})
    running.wait_phase("w")
    done = running.command("set", "w", "env.TOKEN", "-", stdin="s3cret\n")
    assert (done.returncode, "s3cret" in done.stdout + done.stderr) == (0, False)
    until(lambda: lines_of(seen) == ["s3cret"])
    assert "s3cret" not in running.output and "env.TOKEN" in running.output


def test_each_worker_learns_its_number(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "numbers"
    script = f"echo $0 $N >> {quoted(log)}; exec sleep 1000"
    watcher = {"cmd": [*sh(script), "no-$(circus.wid)"], "env": {"N": "((CIRCUS.WID))"}, "numprocesses": 3}
    running = daemon(watchers={"w": watcher})
    running.wait_phase("w", count=3)
    until(lambda: sorted(lines_of(log)) == ["no-1 1", "no-2 2", "no-3 3"])


def test_what_was_done_at_run_time_outlives_the_arbiter(daemon: StartDaemon) -> None:
    running = daemon(watchers={"a": {"cmd": SLEEP}, "b": {"cmd": SLEEP}, "c": {"cmd": SLEEP}})
    running.ctl("add", "new", "sleep 1000", "--start", "-o", "limits.pids_max=7")
    running.ctl("add", "idle", "sleep 1000")
    running.ctl("rm", "a")
    running.ctl("set", "b", "graceful_timeout=7s", "numprocesses=2", "env.X=1")
    running.ctl("stop", "c")
    before = {name: pids(running, name) for name in ("new", "b")}
    kill_arbiter(running)
    assert running.ctl("status")["statuses"] == {
        "b": "active", "c": "stopped", "new": "active", "idle": "stopped",
    }  # fmt: skip
    assert {name: pids(running, name) for name in ("new", "b")} == before
    asked = ("graceful_timeout", "numprocesses", "env.X")
    assert running.ctl("get", "b", *asked)["options"] == {"graceful_timeout": 7.0, "numprocesses": 2, "env.X": "1"}
    os.kill(before["new"][1], signal.SIGKILL)
    until(lambda: (now := pids(running, "new")) and now != before["new"], why="its replacement")
    running.ctl("rm", "new")
    kill_arbiter(running)
    assert "new" not in running.ctl("list")["watchers"]


def test_an_arbiter_that_dies_in_the_middle_is_finished_by_the_next(daemon: StartDaemon, tmp_path: Path) -> None:
    """Stopped workers hold up the ends that were asked for; meanwhile the arbiter dies."""
    stubborn = {"cmd": sh("trap '' TERM; while :; do sleep 0.1; done"), "graceful_timeout": 1}
    running = daemon(watchers={"going": stubborn, "changed": {**stubborn, "numprocesses": 3}, "again": stubborn})
    before = {name: pids(running, name) for name in ("going", "changed", "again")}
    assert [len(found) for found in before.values()] == [1, 3, 1]
    running.ctl("rm", "going", "--no-wait")
    running.ctl("set", "changed", "env.X=1", "--no-wait")
    running.ctl("restart", "again", "--no-wait")
    kill_arbiter(running)
    running.ctl("wait", "going", "--state", "gone")
    running.ctl("wait", "changed", "again")
    assert running.ctl("list") == {"watchers": ["again", "changed"]}
    for name in ("changed", "again"):
        assert not set(pids(running, name).values()) & set(before[name].values())
    for pid in pids(running, "changed").values():
        assert b"X=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not alive(before["going"][1]) and not group_dirs(running.name, "going")


def test_twenty_watchers_come_and_go_and_leave_nothing(daemon: StartDaemon) -> None:
    """The exit checks of the fixture look for what they left."""
    running = daemon(watchers={})
    for number in range(20):
        running.ctl("add", f"w{number}", "sleep 1000", "--start", "--no-wait", "-o", "limits.pids_max=9")
    running.ctl("wait")
    running.ctl("rm", *(f"w{number}" for number in range(20)))
    assert running.ctl("list") == {"watchers": []}
