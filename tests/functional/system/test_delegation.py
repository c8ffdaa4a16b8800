"""The subtree is ours, systemd knows it, and nothing outside of it is touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.evidence import alive
from tests.functional.system.conftest import StartService
from tests.functional.system.service import command, group_in_systemds_tree, in_guest_of_our_own, unit_of
from tests.scratch_groups import mounts

pytestmark = [*in_guest_of_our_own, pytest.mark.alone("systemd is replaced, and must not change its tree for others")]
SLEEP = ["sleep", "1000"]
LIMITS = {"memory_max": "64M", "pids_max": 20, "cpu_weight": 50}


def of_memory(pid: int) -> Path:
    """The directory of the group that accounts the process's memory."""
    rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    v1 = [path for _, names, path in rows if "memory" in names.split(",")]
    path = v1[0] if v1 else next(path for _, names, path in rows if not names)
    (mount,) = [m for m in mounts() if (m / path.lstrip("/") / "cgroup.procs").exists() and has_memory(m)]
    return mount / path.lstrip("/")


def has_memory(mount: Path) -> bool:
    controllers = mount / "cgroup.controllers"
    return "memory" in (controllers.read_text().split() if controllers.exists() else mount.name.split(","))


def test_systemd_counts_keeper_arbiter_and_workers_to_the_unit(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2, "limits": LIMITS}})
    workers = [row["pid"] for row in running.workers(2)]
    for pid in (running.pid, running.arbiter(), *workers):
        assert unit_of(pid) == running.unit
        assert running.unit in group_in_systemds_tree(pid).split("/")
    for pid in workers:
        assert running.unit in of_memory(pid).parts
    assert running.show("Delegate") == "yes"


def test_limits_outlast_what_systemd_does_to_its_own_tree(service: StartService, neighbour: str) -> None:
    running = service({"w": {"cmd": SLEEP, "limits": LIMITS}})
    ((pid,),) = ([row["pid"] for row in running.workers(1)],)
    before = facts(of_memory(pid))
    command("systemctl", "daemon-reload")
    command("systemctl", "set-property", "--runtime", neighbour, "CPUWeight=300", "MemoryMax=200M")
    command("systemctl", "restart", neighbour)
    command("systemctl", "daemon-reexec")
    assert facts(of_memory(pid)) == before
    assert [row["pid"] for row in running.workers(1)] == [pid]


def test_a_keeper_is_heard_after_systemd_was_replaced(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP}}, overrides="WatchdogSec=6")
    running.workers(1)
    command("systemctl", "daemon-reexec")
    fed = running.show("WatchdogTimestampMonotonic")
    until(lambda: running.show("WatchdogTimestampMonotonic") != fed, 20, "a word after the replacement")
    assert running.show("NRestarts") == "0"


def test_another_services_groups_are_the_same_after_all_we_do(service: StartService, neighbour: str) -> None:
    theirs = int(command("systemctl", "show", "--value", "--property=MainPID", neighbour))
    group = of_memory(theirs)
    before = facts(group)
    running = service({"w": {"cmd": SLEEP, "numprocesses": 3, "limits": LIMITS}})
    running.workers(3)
    os.kill(running.pid, signal.SIGKILL)
    running.wait_restarted(30)
    running.workers(3)
    running.systemctl("restart")
    running.systemctl("stop")
    assert facts(group) == before
    assert alive(theirs)


def facts(group: Path) -> dict[str, str]:
    """Identity, members and every limit of a group and of those below it."""
    found = {}
    for directory in [group, *(path for path in group.rglob("*") if path.is_dir())]:
        found[f"{directory} inode"] = str(directory.stat().st_ino)
        for file in directory.iterdir():
            limit = file.name.endswith((".max", ".high", ".low", ".weight", "limit_in_bytes", ".procs"))
            if limit and file.is_file() and os.access(file, os.R_OK) and file.stat().st_mode & 0o444:
                found[str(file)] = file.read_text()
    return found


@pytest.fixture
def neighbour(scratch_name: str) -> Iterator[str]:
    """Somebody else's service, with a delegated subtree, a limit and a group of its own."""
    unit = f"neighbour-{scratch_name}.service"
    inner = (
        "for d in /sys/fs/cgroup /sys/fs/cgroup/memory; do"
        " g=$d$(grep -m1 -E '^0::|:memory:' /proc/self/cgroup | cut -d: -f3);"
        ' [ -w "$g/cgroup.procs" ] && mkdir -p "$g/inner"; done; exec sleep 1000'
    )
    words = ["--property=Delegate=yes", "--property=MemoryMax=100M", "--property=TasksMax=50"]
    command("systemd-run", "--quiet", f"--unit={unit}", *words, "/bin/sh", "-c", inner)
    pid = command("systemctl", "show", "--value", "--property=MainPID", unit).strip()
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", why="the neighbour to have done with its groups")
    yield unit
    command("systemctl", "stop", unit)
