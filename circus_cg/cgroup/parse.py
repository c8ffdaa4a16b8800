"""The text formats of cgroupfs and of the files that describe its mounts. Pure.

Sources: "Core Interface Files" in the kernel's cgroup-v2.rst; proc_pid_mountinfo(5); cgroups(7).
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Mount(NamedTuple):
    """One cgroup mount: `root` is the group that the mount point shows (a private namespace or a bind mount)."""

    version: int  # 1 or 2
    root: str
    point: str
    controllers: tuple[str, ...]  # v1: as co-mounted; v2: ()


class Membership(NamedTuple):
    """One line of /proc/PID/cgroup; v2 has no controllers."""

    controllers: tuple[str, ...]
    path: str


def flat_keyed(text: str) -> dict[str, int]:
    """`memory.events`, `cpu.stat`: one "key value" a line."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def limit(text: str) -> int | None:
    """`memory.max`, `pids.max`: a number, or "max" for no limit."""
    word = text.strip()
    return None if word == "max" else int(word)


def v1_bytes(text: str) -> int | None:
    """A v1 byte limit: the largest page-aligned number means none."""
    value = int(text)
    return None if value >= 1 << 62 else value


def pressure(text: str) -> dict[str, dict[str, float]]:
    """`*.pressure`: {"some": {"avg10": percent, "avg60", "avg300", "total": microseconds}, "full": ...}."""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        found[kind] = {key: float(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    return found


def memberships(text: str) -> list[Membership]:
    """/proc/PID/cgroup; named v1 hierarchies (systemd's own) are left out."""
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers.startswith("name="):
            found.append(Membership(tuple(filter(None, controllers.split(","))), path))
    return found


KNOWN = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "blkio",
    "freezer",
    "devices",
    "hugetlb",
    "perf_event",
    "net_cls",
    "net_prio",
    "rdma",
    "misc",
    "dmem",
    "debug",
)


def mounts(text: str) -> list[Mount]:
    """/proc/PID/mountinfo: the cgroup mounts in it; named v1 hierarchies are left out."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or not kind or kind[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = _unescape(fields[3]), _unescape(fields[4])
        if kind[0] == "cgroup2":
            found.append(Mount(2, root, point, ()))
        elif controllers := tuple(option for option in kind[-1].split(",") if option in KNOWN):
            found.append(Mount(1, root, point, controllers))
    return found


def cpu_list(text: str) -> list[int]:
    """A kernel list such as "0-3,8": the numbers in it. Raises ValueError."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def _unescape(field: str) -> str:
    """The kernel writes blanks, backslashes and the like as a backslash and three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
