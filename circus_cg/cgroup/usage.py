"""One sample of a group: memory, CPU, throttling, pids, pressure; and the OOM verdict. Reads over kept descriptors."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import msgspec

from circus_cg.cgroup import files, parse
from circus_cg.cgroup.files import Kept, Open
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.errors import CgroupError

USAGE = b"usage_usec "  # the first line of v2's cpu.stat
FIRST_LINE = 48  # bytes that hold it, or a number
NOWHERE: tuple[int, Kept | None] = (0, None)
COMPOSITION = {"anon": "anon", "file": "file", "shmem": "shmem", "kernel": "kernel"}  # memory.stat; shmem is in file
V1_COMPOSITION = {"anon": "total_rss", "file": "total_cache", "shmem": "total_shmem"}
NEAR = 1 << 20  # bytes: v1 tells no `oom`; a peak this close to the limit means the limit did it


class Usage(msgspec.Struct, frozen=True):
    """None where this host's kernel does not tell."""

    memory_current: int | None = None  # bytes
    memory_peak: int | None = None
    memory_max: int | None = None
    cpu_seconds: float | None = None
    nr_periods: int | None = None
    nr_throttled: int | None = None
    throttled_seconds: float | None = None
    pids: int | None = None
    pressure: dict[str, dict[str, dict[str, float]]] | None = None  # by resource, as parse.pressure


class Work(NamedTuple):
    """What is looked at every few seconds, of each worker: as Usage has it."""

    cpu_seconds: float | None
    nr_throttled: int | None


class OomVerdict(msgspec.Struct, frozen=True):
    """`own_limit`: a limit of ours was hit; else the host was short of memory."""

    kills: int = 0
    own_limit: bool = False
    limit: int | None = None
    peak: int | None = None
    left: dict[str, int] = {}  # bytes by kind that the dead left behind, as Meter.composition


class Meter:
    """The files of one group, over all hierarchies it is in."""

    def __init__(self, directories: dict[str, tuple[Hierarchy, str]]) -> None:
        """`directories`: controller ("" is the unified one) -> where its files are."""
        self._kept = {directory: Kept(directory) for _, directory in directories.values()}
        self._at = {name: (hierarchy.version, self._kept[path]) for name, (hierarchy, path) in directories.items()}
        self._unified = self._at.get("", NOWHERE)[1]
        version, self._memory = self._at.get("memory", NOWHERE)
        self._current = "memory.current" if version == 2 else "memory.usage_in_bytes"

    def usage(self, pressure: bool = True) -> Usage:
        """Without the pressure it costs half."""
        current, peak, limit = self.memory()
        cpu = self._cpu_stat()
        throttled = cpu.get("throttled_usec")
        if throttled is None and "throttled_time" in cpu:
            throttled = cpu["throttled_time"] // 1000
        return Usage(
            memory_current=current,
            memory_peak=peak,
            memory_max=limit,
            cpu_seconds=self._cpu_seconds(cpu),
            nr_periods=cpu.get("nr_periods"),
            nr_throttled=cpu.get("nr_throttled"),
            throttled_seconds=None if throttled is None else throttled / 1e6,
            pids=_number(self._read("pids", "pids.current")),
            pressure=self._pressure() if pressure else None,
        )

    def work(self) -> Work:
        cpu = self._cpu_stat()
        return Work(self._cpu_seconds(cpu), cpu.get("nr_throttled"))

    def cpu_file(self) -> Open | None:
        """Where cpu_seconds() finds what the group used; None where that takes more than a read of a kept file."""
        return None if self._unified is None else self._unified.opened("cpu.stat")

    def memory_current(self) -> int | None:
        """Bytes."""
        return None if self._memory is None else _number(self._memory.read(self._current))

    def memory_file(self) -> Open | None:
        """It holds memory_current() and no more."""
        return None if self._memory is None else self._memory.opened(self._current)

    @cached_property
    def adds_up(self) -> bool:
        """The memory of a group is that of the groups below it, too: on v1 a choice until Linux 5.11."""
        version, kept = self._at.get("memory", NOWHERE)
        return kept is not None and (version == 2 or kept.read("memory.use_hierarchy") not in ("0", "0\n"))

    def pressure(self, resource: str) -> dict[str, dict[str, float]] | None:
        """As parse.pressure has it."""
        text = self._read("", f"{resource}.pressure")
        return parse.pressure(text) if text else None

    def composition(self) -> dict[str, int]:
        """Bytes by kind, of the group and those below it; {} where that can't be read."""
        version, kept = self._at.get("memory", (0, None))
        stat = parse.flat_keyed((kept.read("memory.stat") if kept is not None else None) or "")
        names = COMPOSITION if version == 2 else V1_COMPOSITION
        return {name: stat[key] for name, key in names.items() if key in stat}

    def memory(self) -> tuple[int | None, int | None, int | None]:
        """Current, peak and limit in bytes."""
        version, kept = self._at.get("memory", (0, None))
        if kept is None:
            return None, None, None
        if version == 2:
            limit = kept.read("memory.max")
            found = kept.read("memory.current"), kept.read("memory.peak")
            return _number(found[0]), _number(found[1]), None if limit is None else parse.limit(limit)
        limit = kept.read("memory.limit_in_bytes")
        found = kept.read("memory.usage_in_bytes"), kept.read("memory.max_usage_in_bytes")
        return _number(found[0]), _number(found[1]), None if limit is None else parse.v1_bytes(limit)

    def memory_peak(self) -> int | None:
        version, kept = self._at.get("memory", (0, None))
        if kept is None:
            return None
        return _number(kept.read("memory.peak" if version == 2 else "memory.max_usage_in_bytes"))

    @property
    def counts_by_v1(self) -> bool:
        """The memory controller is a v1 one."""
        return self._at.get("memory", (0, None))[0] == 1

    def oom_kills(self) -> int:
        """Processes that the OOM killer took from the group and from those below it."""
        version, kept = self._at.get("memory", (0, None))
        if kept is None:
            return 0
        if version == 2:
            return parse.flat_keyed(kept.read("memory.events") or "").get("oom_kill", 0)
        kills = parse.flat_keyed(kept.read("memory.oom_control") or "").get("oom_kill", 0)
        return kills or sum(map(_v1_kills, files.children(kept.directory)))  # v1 counts only in the victim's own

    def oom_hits(self, local: bool = False) -> int:
        """How often a limit of the group or of one below (`local`: only its own) was hit; v1 doesn't count: 0."""
        version, kept = self._at.get("memory", (0, None))
        if kept is None or version == 1:
            return 0
        text = kept.read("memory.events.local") if local else None  # since Linux 5.2
        return parse.flat_keyed(text or kept.read("memory.events") or "").get("oom", 0)

    def at_v1_limit(self) -> bool:
        """v1: the peak came so close to the limit that the limit is what was hit."""
        if self._at.get("memory", (0, None))[0] != 1:
            return False
        _, peak, limit = self.memory()
        return peak is not None and limit is not None and peak + NEAR >= limit

    def close(self) -> None:
        for kept in self._kept.values():
            kept.close()

    def _cpu_stat(self) -> dict[str, int]:
        """The unified group's usage (hybrid gives it without a controller) and the cpu controller's throttling."""
        found = parse.flat_keyed(self._read("", "cpu.stat") or "")
        if "cpu" in self._at and self._at["cpu"] != self._at.get(""):
            found |= parse.flat_keyed(self._read("cpu", "cpu.stat") or "")
        return found

    def _cpu_seconds(self, cpu: dict[str, int]) -> float | None:
        if "usage_usec" in cpu:
            return cpu["usage_usec"] / 1e6
        nanoseconds = _number(self._read("cpuacct", "cpuacct.usage"))
        return None if nanoseconds is None else nanoseconds / 1e9

    def _pressure(self) -> dict[str, dict[str, dict[str, float]]] | None:
        found = {resource: self.pressure(resource) for resource in ("cpu", "memory", "io")}
        return {resource: told for resource, told in found.items() if told is not None} or None

    def _read(self, controller: str, file: str) -> str | None:
        place = self._at.get(controller)
        return None if place is None else place[1].read(file)


def cpu_seconds(stat: bytes) -> float | None:
    """From the beginning of v2's cpu.stat."""
    if not stat.startswith(USAGE):
        return None
    return int(stat[len(USAGE) : stat.index(b"\n")]) / 1e6


def _v1_kills(directory: str) -> int:
    kills = 0
    for group in files.walk(directory):
        with suppress(CgroupError):  # it went
            kills += parse.flat_keyed(files.read(group, "memory.oom_control")).get("oom_kill", 0)
    return kills


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
