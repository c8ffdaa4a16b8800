"""How tests look at real processes and groups: /proc and the cgroup files themselves, never our own code."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.scratch_groups import PARENT, mounts

V2 = any((mount / "cgroup.controllers").exists() for mount in mounts())


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def python(code: str) -> list[str]:
    """The system's own python3: a worker needs no more."""
    return ["/usr/bin/python3", "-I", "-S", "-c", code]


def quoted(path: Path) -> str:
    return shlex.quote(str(path))


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> dict[int, str]:
    """pid -> command line."""
    found = {}
    for child, state in _children(pid):
        if state != "Z":
            with suppress(FileNotFoundError, ProcessLookupError):
                found[child] = Path(f"/proc/{child}/cmdline").read_text(errors="replace").replace("\0", " ")
    return found


def zombies_of(pid: int) -> list[int]:
    return [child for child, state in _children(pid) if state == "Z"]


def _children(pid: int) -> Iterator[tuple[int, str]]:
    """(pid, state)"""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == pid:
                    yield int(entry), stat[0]


def arbiter_of(keeper: int) -> int | None:
    return next((pid for pid, line in children_of(keeper).items() if "circus_cg.arbiter" in line), None)


def launcher_of(keeper: int) -> int | None:
    return next((pid for pid, line in children_of(keeper).items() if "circus-cg-launcher" in line), None)


def group_dirs(name: str, watcher: str, life: str = "") -> list[Path]:
    """The group of a worker (`life` "1.3") or of its watcher in each hierarchy where it exists."""
    found = [mount / PARENT / name / watcher / life for mount in mounts()]
    return [group for group in found if group.is_dir()]


def group_file(name: str, watcher: str, life: str, *files: str) -> Path:
    """The first of `files` that exists in any hierarchy: v2 and v1 spell them differently."""
    for group in group_dirs(name, watcher, life):
        for file in files:
            if (group / file).exists():
                return group / file
    raise AssertionError(f"no {files} in the groups of {watcher} {life}")


def keyed(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in path.read_text().splitlines())}


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
