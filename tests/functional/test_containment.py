"""Every worker is in its own group before its first instruction; limits are enforced, and nobody else suffers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.evidence import V2, alive, group_dirs, group_file, keyed, lines_of, python, sh
from tests.scratch_groups import members_of, mounts

HOG = "b = []\nwhile True: b.append(bytearray(1 << 20))"


@pytest.fixture(params=["launcher", "fork"], autouse=True)
def way_to_spawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fork":
        monkeypatch.setenv("CIRCUS_CG_LAUNCHER", "fork")


def test_a_worker_finds_itself_in_its_group_at_its_first_instruction(daemon: StartDaemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    limits = {"memory_max": "64M", "pids_max": 20, "cpu_max": 1}
    cat = ["/bin/cat", "/proc/self/cgroup"]
    running = daemon(watchers={"w": {"cmd": cat, "stdout": str(seen), "limits": limits, "max_retry": 0}})
    until(lambda: len(lines_of(seen)) > 0, why="the worker's evidence")
    joined = [line.split(":", 2)[1:] for line in lines_of(seen)]
    own = {controllers: path for controllers, path in joined if f"/circus-cg/{running.name}/w/1." in path}
    wanted = {""} if V2 else set()
    for controller in ("memory", "pids", "cpu"):
        if any(controller in controllers.split(",") for controllers, _ in joined):
            wanted.add(next(c for c, _ in joined if controller in c.split(",")))
    assert wanted and wanted <= set(own), f"joined {joined}"


def test_an_over_allocating_worker_is_killed_at_its_limit_and_no_other_is_touched(daemon: StartDaemon) -> None:
    hog = {"cmd": python(HOG), "limits": {"memory_max": "48M", "memory_swap_max": 0}}
    if not V2 and not group_supports_swap():
        del hog["limits"]["memory_swap_max"]  # type: ignore[attr-defined]
    running = daemon(watchers={"hog": hog, "calm": {"cmd": ["sleep", "1000"], "numprocesses": 2}})
    calm = running.wait_phase("calm", count=2)

    def killed() -> bool:
        rows = running.workers("hog")
        return bool(rows) and rows[0]["last_exit"] is not None

    until(killed, 20, "the hog's end")
    last = running.workers("hog")[0]["last_exit"]
    assert last["reason"] == "oom" and last["signal"] == 9
    assert str(48 << 20) in last["detail"]
    assert [row["pid"] for row in running.workers("calm")] == [row["pid"] for row in calm]


def group_supports_swap() -> bool:
    return Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists()


def test_pids_max_stops_a_fork_bomb_and_stop_removes_it_whole(daemon: StartDaemon, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    code = (
        "import os, time\nn = 0\n"
        "for i in range(64):\n"
        "    try:\n        pid = os.fork()\n"
        "    except OSError:\n        continue\n"
        "    if pid == 0:\n        os.setsid(); time.sleep(1000)\n"
        "    n += 1\n"
        f"open({str(tried)!r}, 'w').write(str(n))\ntime.sleep(1000)"
    )
    running = daemon(watchers={"bomb": {"cmd": python(code), "limits": {"pids_max": 8}, "graceful_timeout": 1}})
    until(tried.exists, why="the bomb to have gone off")
    running.wait_phase("bomb")
    assert int(until(tried.read_text)) == 7
    assert len(members_of(running.name) & members_in(running.name, "bomb")) == 8
    running.ctl("stop", "bomb")
    assert not members_in(running.name, "bomb")
    assert running.workers("bomb") == []


def members_in(name: str, watcher: str) -> set[int]:
    found: set[int] = set()
    for top in group_dirs(name, watcher):
        for procs in top.rglob("cgroup.procs"):
            found.update(map(int, procs.read_text().split()))
    return found


def test_cpu_max_throttles_as_cpu_stat_tells(daemon: StartDaemon) -> None:
    running = daemon(watchers={"burner": {"cmd": sh("while :; do :; done"), "limits": {"cpu_max": 0.2}}})
    (row,) = running.wait_phase("burner")
    life = f"{row['wid']}.{row['generation']}"
    stat = next(
        group / "cpu.stat"
        for group in group_dirs(running.name, "burner", life)
        if (group / "cpu.stat").exists() and "nr_throttled" in (group / "cpu.stat").read_text()
    )
    until(lambda: keyed(stat)["nr_throttled"] >= 3, 20, "the burner to be throttled")


def test_a_watchers_limit_binds_the_sum_of_its_workers(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], "numprocesses": 2, "watcher_limits": {"pids_max": 50}}})
    running.wait_phase("w", count=2)
    assert group_file(running.name, "w", "", "pids.max").read_text().strip() == "50"


@pytest.mark.host_may_lack("v1 has no memory.oom.group")
def test_a_group_oom_kill_takes_the_whole_worker_and_never_the_keeper(daemon: StartDaemon, tmp_path: Path) -> None:
    if not memory_is_on_v2():
        pytest.skip("the memory controller is not on v2 here")
    helper = tmp_path / "helper"
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        f"    os.setsid(); open({str(helper)!r} + '.new', 'w').write(str(os.getpid()))\n"
        f"    os.rename({str(helper)!r} + '.new', {str(helper)!r}); time.sleep(1000)\n"
        f"{HOG}"
    )
    limits = {"memory_max": "48M", "memory_swap_max": 0, "memory_oom_group": True}
    running = daemon(watchers={"hog": {"cmd": python(code), "limits": limits}})
    keeper = running.pid
    until(lambda: any(row["last_exit"] for row in running.workers("hog")), 30, "the hog's end")
    first_helper = int(helper.read_text())
    until(lambda: not alive(first_helper) or int(helper.read_text()) != first_helper, why="the helper to go along")
    assert running.workers("hog")[0]["last_exit"]["reason"] == "oom"
    assert running.pid == keeper and alive(keeper)


def memory_is_on_v2() -> bool:
    return any("memory" in (m / "cgroup.controllers").read_text().split() for m in mounts() if is_v2(m))


def is_v2(mount: Path) -> bool:
    return (mount / "cgroup.controllers").exists()


@pytest.mark.host_may_lack("a pure v1 worker joins no freezer")
def test_a_frozen_worker_holds_up_nobody_and_can_be_stopped(daemon: StartDaemon) -> None:
    if not V2:
        pytest.skip("a pure v1 worker joins no freezer unless asked to")
    running = daemon(
        watchers={
            "cold": {"cmd": ["sleep", "1000"], "graceful_timeout": 0.5, "limits": {"pids_max": 10}},
            "warm": {"cmd": ["sleep", "1000"], "backoff": {"initial": 0}},
        }
    )
    (cold,) = running.wait_phase("cold")
    (warm,) = running.wait_phase("warm")
    group_file(running.name, "cold", f"{cold['wid']}.{cold['generation']}", "cgroup.freeze").write_text("1")
    running.ctl("signal", "warm", "KILL")
    until(lambda: running.workers("warm")[0]["pid"] not in (warm["pid"], None), why="the warm one's replacement")
    running.ctl("stop", "cold")
    assert not alive(cold["pid"])
