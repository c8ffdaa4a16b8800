"""As the first process of a container: it reaps, forwards a stop, and says what it can't do there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.functional.container import Container
from tests.functional.evidence import alive, children_of, lines_of, quoted, sh, zombies_of

SLEEP = ["sleep", "1000"]


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    done = subprocess.run(["unshare", "--pid", "--fork", "--mount", "--mount-proc", "true"], check=False)
    if done.returncode != 0:
        pytest.skip("this host lets root make no namespaces")


def leaving(log: Path) -> list[str]:
    return sh(
        f"trap 'echo asked >> {quoted(log)}; exit 0' TERM; echo ready >> {quoted(log)}; while :; do sleep 0.05; done"
    )


@pytest.mark.parametrize("cgroups", ["absent", "read-only"])
def test_without_groups_it_says_so_and_runs_what_needs_none(tmp_path: Path, scratch_name: str, cgroups: str) -> None:
    log = tmp_path / "log"
    watchers = {"w": {"cmd": leaving(log)}, "v": {"cmd": SLEEP, "numprocesses": 2}}
    with Container(tmp_path, scratch_name, {"watchers": watchers}, cgroups) as container:
        container.wait_phase("v", count=2)
        (row,) = container.wait_phase("w")
        assert row["cgroup"] is None
        assert "warning: " in container.output
        assert "workers run without groups" in container.output
        assert Path(f"/proc/{container.pid}/status").read_text().split("NSpid:")[1].split()[:2][1] == "1"
        assert container.ctl("stats")["infos"].keys() == {"v", "w"}
        until(lambda: lines_of(log) == ["ready"])
        container.ctl("restart", "w")
        assert lines_of(log)[1] == "asked"
        assert container.wait_phase("w")[0]["generation"] == 2
    assert lines_of(log)[-1] == "asked", "the stop was passed on"


@pytest.mark.parametrize("cgroups", ["absent", "read-only"])
def test_limits_that_it_could_not_keep_are_refused(tmp_path: Path, scratch_name: str, cgroups: str) -> None:
    watchers = {"w": {"cmd": SLEEP, "limits": {"memory_max": "64M"}}}
    container = Container(tmp_path, scratch_name, {"watchers": watchers}, cgroups).start()
    assert container.process is not None
    assert container.process.wait(20) != 0
    assert "cannot enforce memory_max" in container.output
    assert "sleep" not in container.output


def test_an_operator_may_run_them_all_the_same(tmp_path: Path, scratch_name: str) -> None:
    watchers = {"w": {"cmd": SLEEP, "limits": {"memory_max": "64M"}}}
    configuration: dict[str, Any] = {"on_missing": "warn", "watchers": watchers}
    with Container(tmp_path, scratch_name, configuration, "absent") as container:
        container.wait_phase("w")
        assert "cannot enforce memory_max" in container.output


def test_limits_that_change_nothing_there_leave_its_workers_what_they_are(tmp_path: Path, scratch_name: str) -> None:
    """What is known of a worker's session is known still, when it ends and what it left is looked for."""
    configuration: dict[str, Any] = {"on_missing": "warn", "watchers": {"w": {"cmd": sh("sleep 1000 & wait")}}}
    with Container(tmp_path, scratch_name, configuration, "absent") as container:
        container.wait_phase("w")
        (main,) = until(lambda: [pid for pid, line in tree(container.pid).items() if "& wait" in line])
        (leftover,) = until(lambda: [pid for pid, line in tree(container.pid).items() if line == "sleep 1000"])
        container.ctl("set", "w", "limits.memory_max=64M")
        os.kill(main, signal.SIGKILL)
        until(lambda: not alive(leftover), why="what it left to be killed")
        until(lambda: [(r["generation"], r["phase"]) for r in container.workers("w")] == [(2, "ready")])


@pytest.mark.parametrize("cgroups", ["its own", "absent"])
def test_orphans_are_reaped(tmp_path: Path, scratch_name: str, cgroups: str) -> None:
    """Those of a worker, and those that have left its session."""
    log = tmp_path / "log"
    script = f"while :; do (sleep 0.05 & setsid sleep 0.05 & echo two >> {quoted(log)}); sleep 0.1; done"
    with Container(tmp_path, scratch_name, {"watchers": {"w": {"cmd": sh(script)}}}, cgroups) as container:
        until(lambda: len(lines_of(log)) > 10, 20)
        ended = set(zombies_of(container.pid))
        already = len(lines_of(log))
        until(lambda: len(lines_of(log)) > already + 20, 30)
        assert not ended & set(zombies_of(container.pid)), "what had ended then is still there"
        assert len(zombies_of(container.pid)) < 20


def test_what_a_worker_leaves_in_its_session_ends_with_it(tmp_path: Path, scratch_name: str) -> None:
    leftover = tmp_path / "leftover"
    script = f"sleep 1000 & touch {quoted(leftover)}; wait"
    with Container(tmp_path, scratch_name, {"watchers": {"w": {"cmd": sh(script)}}}, "absent") as container:
        until(leftover.exists)
        (first,) = (pid for pid, line in tree(container.pid).items() if line == "sleep 1000")
        leftover.unlink()
        (main,) = (pid for pid, line in tree(container.pid).items() if "& touch" in line)
        os.kill(main, signal.SIGKILL)
        until(leftover.exists, 20, "the second life")
        assert not alive(first)


def test_who_has_left_its_session_ends_with_the_container(tmp_path: Path, scratch_name: str) -> None:
    script = "setsid sh -c 'sleep 1001 & wait' & exec sleep 1000"
    with Container(tmp_path, scratch_name, {"watchers": {"w": {"cmd": sh(script)}}}, "absent") as container:

        def left() -> list[int]:
            return [pid for pid, line in tree(container.pid).items() if line == "sleep 1001"]

        (escaped,) = until(left)
    until(lambda: not alive(escaped))


def test_with_groups_of_its_own_it_works_as_anywhere(tmp_path: Path, scratch_name: str) -> None:
    watchers = {"w": {"cmd": SLEEP, "limits": {"pids_max": 8}}}
    with Container(tmp_path, scratch_name, {"watchers": watchers}, "its own") as container:
        (row,) = container.wait_phase("w")
        assert row["cgroup"]


def tree(pid: int) -> dict[int, str]:
    """All below it: pid -> command line."""
    found = {child: line.strip() for child, line in children_of(pid).items()}
    for child in list(found):
        found |= tree(child)
    return found
