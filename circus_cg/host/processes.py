"""Single processes, looked at through /proc and signalled by pidfd, so that a reused pid is never hit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

AT_ONCE = 256  # pidfds held at the same time


def parent_of(pid: int) -> int | None:
    """None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None


def has_ended(pid: int) -> bool:
    """It is gone, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def below(pid: int, candidates: Iterable[int], *, recursive: bool) -> list[int]:
    """Those of `candidates` that are children of `pid`; with `recursive` their children too, and so on."""
    parents = {one: parent_of(one) for one in candidates if one != pid}
    found: list[int] = []
    level = {pid}
    while level:
        level = {one for one, parent in parents.items() if parent in level and one not in found}
        found += sorted(level)
        if not recursive:
            break
    return found


def send(pids: Sequence[int], signum: int, members: Callable[[], Collection[int]]) -> list[int]:
    """To those of `pids` that are still among `members()`; gives them. Nobody else is hit, whatever pids are reused."""
    told = []
    for start in range(0, len(pids), AT_ONCE):
        with ExitStack() as opened:
            pidfds = {}
            for pid in pids[start : start + AT_ONCE]:
                with suppress(ProcessLookupError):
                    pidfds[pid] = os.pidfd_open(pid)
                    opened.callback(os.close, pidfds[pid])
            still = set(members())  # asked while pidfds hold them: from here on these pids are nobody else's
            for pid in pidfds.keys() & still:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfds[pid], signum)
                    told.append(pid)
    return sorted(told)


def details(pids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """What only /proc tells, in circus's words, by pid; those that are gone are left out. Slow: 1 ms each."""
    import psutil  # 20 ms, only for who asks  # noqa: PLC0415

    found = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                memory, times = process.memory_info(), process.cpu_times()
                found[pid] = {
                    "pid": pid,
                    "ppid": process.ppid(),
                    "cmdline": [_utf8(word) for word in process.cmdline()],
                    "username": _utf8(_username(process)),
                    "nice": process.nice(),
                    "mem": round(process.memory_percent(), 1),
                    "rss": memory.rss,
                    "vms": memory.vms,
                    "cpu_seconds": times.user + times.system,
                    "create_time": process.create_time(),
                }
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _utf8(text: str) -> str:
    """A process may call itself anything; what isn't UTF-8 can be shown so, and JSON carries it."""
    return os.fsencode(text).decode(errors="backslashreplace")


def _username(process: Any) -> str:
    try:
        name: str = process.username()
    except KeyError:  # a number without a name
        return str(process.uids().real)
    return name
