"""Limits changed while workers run: in their own groups, in an order that the kernel takes, for as long as was said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import V2, alive, arbiter_of, group_dirs, group_file, lines_of, python, quoted, sh

SLEEP = ["sleep", "1000"]
MEMORY = ("memory.max", "memory.limit_in_bytes")
QUOTA = ("cpu.max", "cpu.cfs_quota_us")
MB = 1 << 20
LEAVING = sh("trap 'sleep 1; exit' TERM; while :; do sleep 0.05; done")  # takes a while to go
HOLD = (  # its first life is large
    "import os, signal; size = 1 if os.path.exists({0}) else 60; open({0}, 'w').close()\n"
    "x = bytearray(b'x' * (size << 20)); print('ready', flush=True); signal.pause()"
)


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def memory_of(running: Daemon, life: str = "1.1") -> str:
    return group_file(running.name, "w", life, *MEMORY).read_text().strip()


def quota_of(running: Daemon, life: str = "1.1") -> str:
    return group_file(running.name, "w", life, *QUOTA).read_text().split()[0]


def members(running: Daemon, life: str, file: str) -> set[int]:
    return {int(pid) for pid in (group_file(running.name, "w", life, file).parent / "cgroup.procs").read_text().split()}


def test_limits_of_workers_and_of_their_sum_are_written_while_they_run(daemon: StartDaemon) -> None:
    limits = {"limits": {"memory_max": "64M"}, "watcher_limits": {"memory_max": "64M"}}
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 2, **limits}})
    before = running.wait_phase("w", count=2)
    done = running.ctl("set", "w", "limits.memory_max=128M", "watcher_limits.memory_max=256M")
    assert done["changed"] == ["limits.memory_max", "watcher_limits.memory_max"] and done["action"] == -1
    assert [memory_of(running, life) for life in ("", "1.1", "2.1")] == [str(256 * MB), str(128 * MB), str(128 * MB)]
    running.ctl("set", "w", "limits.memory_max=32M", "watcher_limits.memory_max=40M")
    assert [memory_of(running, life) for life in ("", "1.1", "2.1")] == [str(40 * MB), str(32 * MB), str(32 * MB)]
    assert [row["pid"] for row in running.workers("w")] == [row["pid"] for row in before]
    assert running.ctl("get", "w", "limits.memory_max")["options"] == {"limits.memory_max": 32 * MB}


def test_a_worker_joins_the_groups_of_a_controller_that_it_had_no_limit_of(daemon: StartDaemon, tmp_path: Path) -> None:
    """With all that it forked; and the limits bind: the next fork beyond pids_max fails."""
    log = tmp_path / "log"
    script = (
        f"import os, signal, time\nos.fork() or signal.pause()\nlog = open({str(log)!r}, 'a', buffering=1)\n"
        "while True:\n    time.sleep(0.05)\n    try:\n        pid = os.fork()\n        if not pid: os._exit(0)\n"
        "        os.waitpid(pid, 0)\n    except BlockingIOError: print('refused', file=log)\n"
    )
    running = daemon(watchers={"w": {"cmd": python(script)}})
    (row,) = running.wait_phase("w")
    running.ctl("set", "w", "limits.pids_max=2", "watcher_limits.cpu_max=1.5", "--force")
    until(lambda: "refused" in lines_of(log), why="a fork that the new limit refuses")
    assert group_file(running.name, "w", "1.1", "pids.max").read_text() == "2\n"
    assert row["pid"] in members(running, "1.1", "pids.max")
    assert quota_of(running, "") == "150000"
    assert running.workers("w")[0]["pid"] == row["pid"]
    running.ctl("stop", "w")
    until(lambda: not group_dirs(running.name, "w", "1.1"), why="the groups of its life to go")


def test_quotas_of_the_sum_go_below_and_above_those_of_the_workers(daemon: StartDaemon) -> None:
    """v1 refuses a child that has more than its parent, at each single write."""
    limits = {"limits": {"cpu_max": 1.0}, "watcher_limits": {"cpu_max": 1.0}}
    running = daemon(watchers={"w": {"cmd": SLEEP, **limits}})
    running.wait_phase("w")
    for sum_, one in ((2, 2), (0.5, 0.25), (0.25, 1), (3, 0.5)):
        running.ctl("set", "w", f"watcher_limits.cpu_max={sum_}", f"limits.cpu_max={one}")
        bound = one if V2 and QUOTA[0] in str(group_file(running.name, "w", "1.1", *QUOTA)) else min(one, sum_)
        assert (quota_of(running, ""), quota_of(running)) == (f"{sum_ * 100_000:.0f}", f"{bound * 100_000:.0f}")
    running.ctl("set", "w", "watcher_limits.cpu_max=null")
    assert quota_of(running, "") in ("max", "-1") and quota_of(running) == "50000"


@pytest.mark.parametrize("way", ["set", "reloadconfig"])
def test_the_sum_shrinks_though_those_that_are_to_be_replaced_run_still(daemon: StartDaemon, way: str) -> None:
    """They had more than it has now, which v1 refuses; and they go on until they have left."""
    watcher = {"cmd": LEAVING, "numprocesses": 2, "limits": {"cpu_max": 2}, "watcher_limits": {"cpu_max": 4}}
    running = daemon(watchers={"w": watcher})
    running.wait_phase("w", count=2)
    if way == "set":
        running.ctl("set", "w", "env.X=1", "watcher_limits.cpu_max=1")
    else:
        running.write_config({"watchers": {"w": {**watcher, "env": {"X": "1"}, "watcher_limits": {"cpu_max": 1}}}})
        assert running.ctl("reloadconfig")["failed"] == {}
    until(lambda: [(r["generation"], r["phase"]) for r in running.workers("w")] == [(2, "ready")] * 2)
    assert quota_of(running, "") == "100000"


def test_who_leaves_keeps_the_memory_that_it_has(daemon: StartDaemon) -> None:
    """Else v2 kills it, which nobody said --force for: only its next life has less."""
    running = daemon(watchers={"w": {"cmd": LEAVING, "limits": {"memory_max": "128M", "pids_max": 90}}})
    running.wait_phase("w")
    running.ctl("set", "w", "env.X=1", "limits.memory_max=32M", "limits.pids_max=60", "--no-wait")
    assert (memory_of(running), running.workers("w")[0]["phase"]) == (str(128 * MB), "stopping")
    until(lambda: [(r["generation"], r["phase"]) for r in running.workers("w")] == [(2, "ready")])
    assert memory_of(running, "1.2") == str(32 * MB)


def test_who_ignores_its_stop_is_killed_though_it_had_no_such_limit(daemon: StartDaemon) -> None:
    """On v1 its next life is in a group of a hierarchy that it never was in."""
    deaf = sh("trap '' TERM; sleep 1000 & while :; do wait; sleep 1; done")
    running = daemon(watchers={"w": {"cmd": deaf, "graceful_timeout": 1}})
    (row,) = running.wait_phase("w")
    running.ctl("set", "w", "env.X=1", "limits.cpu_max=1", "--no-wait")
    until(lambda: not alive(row["pid"]), why="it to be killed")
    until(lambda: [(r["generation"], r["phase"]) for r in running.workers("w")] == [(2, "ready")])
    until(lambda: not group_dirs(running.name, "w", "1.1"), why="the groups of its life to go")


def test_limits_are_lifted_while_workers_run(daemon: StartDaemon) -> None:
    both = {"memory_max": "64M", "cpu_max": 0.5, "pids_max": 9}
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": both, "watcher_limits": both}})
    (row,) = running.wait_phase("w")
    words = [f"{which}.{name}=null" for which in ("limits", "watcher_limits") for name in both]
    running.ctl("set", "w", *words)
    for life in ("", "1.1"):
        assert quota_of(running, life) in ("max", "-1")
        assert group_file(running.name, "w", life, "pids.max").read_text() == "max\n"
        memory = memory_of(running, life)
        assert memory == "max" or int(memory) > 1 << 60
    assert running.workers("w")[0]["pid"] == row["pid"]
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: [one["pid"] for one in running.workers("w")] not in ([row["pid"]], [None]), why="its next life")
    assert group_file(running.name, "w", "1.2", "pids.max").read_text() == "max\n"


def test_what_is_below_the_use_is_refused_and_nothing_changes_unless_forced(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "out"
    watcher = {
        "cmd": python(HOLD.format(repr(str(tmp_path / "been")))),
        "stdout": str(log),
        "limits": {"memory_max": "128M"},
    }
    running = daemon(watchers={"w": watcher})
    (row,) = running.wait_phase("w")
    until(lambda: lines_of(log) == ["ready"])
    for words, told in (
        (["limits.memory_max=32M", "graceful_timeout=1s"], r"limits.memory_max of 32M is below the .*M that w.1 uses"),
        (["watcher_limits.memory_max=32M"], r"watcher_limits.memory_max of 32M is below the .*M that w uses"),
    ):
        with pytest.raises(Refused, match=told) as refused:
            running.ctl("set", "w", *words)
        assert "--force" in str(refused.value)
    assert memory_of(running) == str(128 * MB) and running.ctl("diff")["changed"] == {}
    assert "refused" in {chain["what"] for chain in running.ctl("why", "w")["chains"]}
    running.ctl("set", "w", "limits.memory_max=32M", "--force", "--no-wait")
    until(lambda: not alive(row["pid"]), why="the kernel, or the daemon, to end who is above its limit")
    until(lambda: [(r["generation"], r["phase"]) for r in running.workers("w")] == [(2, "ready")], why="its next life")
    assert memory_of(running, "1.2") == str(32 * MB)


def test_set_limits_survive_respawns_and_arbiters_but_not_the_daemon(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"memory_max": "64M", "pids_max": 9}}})
    (row,) = running.wait_phase("w")
    running.ctl("set", "w", "limits.memory_max=96M", "limits.pids_max=null", "watcher_limits.memory_max=200M")
    kill_arbiter(running)
    assert memory_of(running) == str(96 * MB) and running.workers("w")[0]["pid"] == row["pid"]
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: [r["generation"] for r in running.workers("w") if r["phase"] == "ready"] == [2], why="its next life")
    assert memory_of(running, "1.2") == str(96 * MB) and memory_of(running, "") == str(200 * MB)
    assert group_file(running.name, "w", "1.2", "pids.max").read_text() == "max\n"
    assert running.terminate() == 0
    running.process = None
    running.start().wait_answering()
    running.wait_phase("w")
    assert memory_of(running) == str(64 * MB) and running.ctl("diff")["changed"] == {}


def test_an_arbiter_that_died_in_the_midst_is_finished_by_the_next(daemon: StartDaemon) -> None:
    """As if it had died after its word was kept: somebody else's limits are in the groups."""
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"memory_max": "64M"}}})
    running.wait_phase("w")
    running.ctl("set", "w", "limits.memory_max=96M", "limits.cpu_max=0.5", "watcher_limits.cpu_max=1")
    group_file(running.name, "w", "1.1", *MEMORY).write_text(str(32 * MB))
    quota = group_file(running.name, "w", "1.1", *QUOTA)
    quota.write_text("40000")
    kill_arbiter(running)
    assert memory_of(running) == str(96 * MB) and quota_of(running) == "50000"


def test_limits_raised_in_the_file_are_there_after_an_upgrade_and_for_the_next_life(daemon: StartDaemon) -> None:
    """Of what the old arbiter wrote only the groups tell; v1 takes no child's quota above its parent's."""
    small = {"cmd": SLEEP, "limits": {"cpu_max": 1}, "watcher_limits": {"cpu_max": 1}}
    running = daemon(watchers={"w": small})
    (row,) = running.wait_phase("w")
    running.write_config({"watchers": {"w": {**small, "limits": {"cpu_max": 2}, "watcher_limits": {"cpu_max": 4}}}})
    running.ctl("upgrade")
    assert (quota_of(running, ""), quota_of(running)) == ("400000", "200000")
    assert running.workers("w")[0]["pid"] == row["pid"]
    os.kill(row["pid"], signal.SIGKILL)
    until(lambda: [r["generation"] for r in running.workers("w") if r["phase"] == "ready"] == [2], why="its next life")
    assert quota_of(running, "1.2") == "200000"


def test_what_is_set_to_last_is_there_at_the_next_start_and_until_it_is_reverted(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"memory_max": "64M", "pids_max": 9}}})
    running.wait_phase("w")
    done = running.ctl("set", "w", "limits.memory_max=96M", "numprocesses=2", "graceful_timeout=3s", "--persist")
    assert done["lasting"] == {"limits.memory_max": 96 * MB, "numprocesses": 2, "graceful_timeout": 3.0}
    assert running.terminate() == 0
    running.process = None
    running.start().wait_answering()
    running.wait_phase("w", count=2)
    assert memory_of(running) == str(96 * MB)
    diff = running.ctl("diff")
    assert diff["lasting"]["w"] == done["lasting"]
    assert diff["changed"]["w"]["limits.memory_max"] == {"configured": 64 * MB, "now": 96 * MB}
    assert running.ctl("options", "w")["lasting"] == done["lasting"]
    running.ctl("set", "w", "graceful_timeout=30s", "--persist")
    assert "graceful_timeout" not in running.ctl("diff")["lasting"]["w"]
    running.ctl("revert", "w")
    (left,) = running.wait_phase("w")
    assert memory_of(running, f"{left['wid']}.1") == str(64 * MB)
    diff = running.ctl("diff")
    assert (diff["lasting"], diff["changed"]) == ({}, {})


def test_single_options_are_reverted_of_whatever_kind_they_are(daemon: StartDaemon) -> None:
    configuration = {"cmd": SLEEP, "env": {"A": "1"}, "limits": {"memory_max": "64M"}, "rlimits": {"nofile": 99}}
    running = daemon(watchers={"w": configuration})
    running.wait_phase("w")
    before = running.ctl("options", "w")["options"]
    words = ["env.A=2", "env.B=3", "rlimits.nofile=77", "limits.memory_max=96M", "graceful_timeout=3s"]
    running.ctl("set", "w", "cmd=sleep 999", *words)
    assert running.ctl("revert", "w", "env", "cmd", "limits.memory_max", "max_retry")["changed"] == [
        "cmd", "env.A", "env.B", "limits.memory_max",
    ]  # fmt: skip
    assert set(running.ctl("diff")["changed"]["w"]) == {"rlimits.nofile", "graceful_timeout"}
    with pytest.raises(Refused, match="did you mean 'env_file'"):
        running.ctl("revert", "w", "env_fil")
    running.ctl("revert", "w")
    assert running.ctl("options", "w")["options"] == before and running.ctl("diff")["changed"] == {}


def test_of_a_policy_that_is_not_configured_no_part_is_reverted_alone(daemon: StartDaemon) -> None:
    """It would be a policy without a part that it needs, for the next arbiter to make nothing of."""
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    running.ctl("set", "w", "autoscale.max=4")
    running.ctl("set", "w", "autoscale.max=6")
    with pytest.raises(Refused, match=r"unknown option 'autoscale\.max'"):
        running.ctl("revert", "w", "autoscale.max")
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    running.wait_answering()
    assert running.ctl("get", "w", "autoscale.max")["options"] == {"autoscale.max": 6}
    assert running.ctl("revert", "w", "autoscale")["changed"] == ["autoscale"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cmd=sleep 5"], "cmd is for the configuration alone"),
        (["limits.memory_max=96M", "uid=0"], "uid is for the configuration alone"),
    ],
)
def test_what_is_run_can_not_be_set_to_last(daemon: StartDaemon, words: list[str], told: str) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    before = running.ctl("options", "w")
    with pytest.raises(Refused, match=told):
        running.ctl("set", "w", *words, "--persist")
    assert running.ctl("options", "w") == before


def test_a_configuration_read_again_lifts_and_lowers_where_workers_run(daemon: StartDaemon) -> None:
    configuration = {"cmd": SLEEP, "limits": {"memory_max": "64M"}, "watcher_limits": {"pids_max": 50, "cpu_max": 1}}
    running = daemon(watchers={"w": configuration})
    (row,) = running.wait_phase("w")
    changed = {**configuration, "limits": {"memory_max": "32M", "cpu_max": 0.5}, "watcher_limits": {"pids_max": 40}}
    running.write_config({"watchers": {"w": changed}})
    assert running.ctl("reloadconfig")["failed"] == {}
    assert memory_of(running) == str(32 * MB) and quota_of(running) == "50000"
    assert quota_of(running, "") in ("max", "-1")
    assert group_file(running.name, "w", "", "pids.max").read_text() == "40\n"
    assert running.workers("w")[0]["pid"] == row["pid"]
    kill_arbiter(running)
    assert running.workers("w")[0]["pid"] == row["pid"] and memory_of(running) == str(32 * MB)


def test_a_command_of_exec_goes_along_into_new_groups(daemon: StartDaemon, tmp_path: Path) -> None:
    """And whoever forks while it is moved."""
    log = tmp_path / "pids"
    running = daemon(watchers={"w": {"cmd": sh(f"while :; do sleep 0.01 & echo $! >> {quoted(log)}; wait; done")}})
    (row,) = running.wait_phase("w")
    until(lambda: len(lines_of(log)) > 5)
    running.ctl("set", "w", "limits.pids_max=100")
    until(lambda: len(lines_of(log)) > 20)
    assert row["pid"] in members(running, "1.1", "pids.max")
    before = len(lines_of(log))
    until(lambda: len(lines_of(log)) > before, why="it to go on")
