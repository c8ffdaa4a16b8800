"""Nothing listens on any network address unless it is asked for; then on that one alone."""

from __future__ import annotations

import os
from pathlib import Path

from tests.functional.conftest import StartDaemon
from tests.functional.control.conftest import StartAfar
from tests.functional.evidence import children_of

LISTEN, UNCONNECTED = "0A", "07"


def sockets_of(pid: int) -> set[str]:
    """Inodes."""
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(fd)
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found


def family(pid: int) -> list[int]:
    return [pid, *(below for child in children_of(pid) for below in family(child))]


def network_of(pids: list[int]) -> list[str]:
    """`table address` of each network socket that one of them holds and that anybody could reach."""
    inodes = {inode for pid in pids for inode in sockets_of(pid)}
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite"):
        path = Path(f"/proc/{pids[0]}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[9] in inodes and (not table.startswith("tcp") or fields[3] == LISTEN):
                found.append(f"{table} {fields[1]}")
    return found


def test_nothing_listens_on_the_network_by_default(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"]}})
    running.wait_phase("w")
    everybody = family(running.pid)
    assert len(everybody) >= 4, "keeper, launcher, arbiter, worker"
    assert network_of(everybody) == []


def test_what_is_asked_for_listens_there_alone_and_no_worker_holds_it(afar: StartAfar) -> None:
    running = afar()
    rows = running.daemon.workers()
    everybody = family(running.daemon.pid)
    assert set(network_of(everybody)) == {f"tcp 0100007F:{running.port:04X}"}
    assert network_of([row["pid"] for row in rows]) == []
