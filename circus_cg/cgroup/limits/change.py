"""Limits of a running group changed into others: the writes, and in which order they can be done. Pure.

A child may not have more than its parent where v1 says so, and should not anywhere: what grows, grows in the parent
first; what shrinks, shrinks in the children first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from circus_cg.cgroup import parse
from circus_cg.cgroup.limits import settings
from circus_cg.cgroup.limits.cpuset import FILES as CPUSET_FILES
from circus_cg.cgroup.limits.memory import MEMSW
from circus_cg.cgroup.limits.setting import Setting
from circus_cg.spec import Limits

INHERITED = ""  # the text of a cpuset that has no own one: on v2 what is written, on v1 the parent's is

# What a group has that nobody gave a limit.
UNLIMITED = {
    2: {
        "cpu.max": "max 100000", "cpu.weight": "100", "memory.low": "0", "memory.high": "max", "memory.max": "max",
        "memory.swap.max": "max", "memory.oom.group": "0", "pids.max": "max", "io.weight": "100",
        "cpuset.cpus": INHERITED, "cpuset.mems": INHERITED,
    },
    1: {
        "cpu.cfs_quota_us": "-1", "cpu.shares": "1024", "memory.soft_limit_in_bytes": "-1", MEMSW: "-1",
        "memory.limit_in_bytes": "-1", "pids.max": "max", "blkio.bfq.weight": "100",
        "cpuset.cpus": INHERITED, "cpuset.mems": INHERITED,
    },
}  # fmt: skip
NUMBERS = {
    "cpu.max", "cpu.cfs_quota_us", "memory.max", "memory.high", "memory.swap.max", "memory.limit_in_bytes", MEMSW,
    "pids.max",
}  # fmt: skip
ORDERED = NUMBERS | set(CPUSET_FILES)  # in which more is told from less
BOUND = {"cpu.cfs_quota_us", *CPUSET_FILES}  # of which v1 lets no child have more than its parent
NOTHING: Mapping[str, str] = MappingProxyType({})
DEVICES = {"io.max": " rbps=max wbps=max riops=max wiops=max"}  # file -> unlimited; on v1 it is 0


class Changes(NamedTuple):
    """`wider` go first, to the parent before the children; `narrower` afterwards, the other way round.

    A cpuset that becomes another one is in both: first it has the CPUs of both, then the new ones.
    """

    wider: tuple[Setting, ...]
    narrower: tuple[Setting, ...]

    @property
    def all(self) -> tuple[Setting, ...]:
        """For one group alone, in an order that the kernel takes."""
        last = {setting.file for setting in self.narrower if setting.file in CPUSET_FILES}
        return (*(setting for setting in self.wider if setting.file not in last), *self.narrower)


def effective(limits: Limits, of_sum: Limits, version: int) -> Limits:
    """What is written for a worker whose watcher has `of_sum`.

    v1 refuses a quota above the parent's (on v2 the parent's holds all the same), and a cpuset must be there.
    """
    if version == 2:
        return limits
    cpus = [one for one in (limits.cpu_max, of_sum.cpu_max) if one is not None]
    return replace(
        limits,
        cpu_max=limits.cpu_max and min(cpus),
        cpuset_cpus=limits.cpuset_cpus or of_sum.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems or of_sum.cpuset_mems,
    )


def changes(old: Limits | None, new: Limits, version: int, in_force: Mapping[str, str] = NOTHING) -> Changes:
    """`old` None: nobody knows what was asked for, so all is written that may matter; devices of `io_max` can't be
    known. `in_force`: text by file, as read; it tells more from less better than `old` does, which may not have got so
    far.

    Devices must be MAJOR:MINOR by now.
    """
    before = dict(UNLIMITED[version]) if old is None else {}
    before |= {} if old is None else _texts(old, version)
    after = _texts(new, version)
    wider, narrower = [], []
    controllers = {_key(s): s.controller for limits in (old, new) if limits for s in settings(limits, version)}
    for key in [*before, *(key for key in after if key not in before)]:
        was = before.get(key, _unlimited(key, version))
        will = after.get(key, _unlimited(key, version))
        if was == will and old is not None:
            continue
        file, was = key.partition(" ")[0], in_force.get(key, was)
        setting = Setting(controllers.get(key) or _controller(file), file, will)
        if not _shrinks(file, was, will):
            wider.append(setting)
            continue
        narrower.append(setting)
        if file in CPUSET_FILES and was != INHERITED and not _includes(was, will):
            wider.append(setting._replace(text=f"{was},{will}"))
    wider.sort(key=lambda setting: setting.file != MEMSW)  # the sum of both before the memory that is part of it
    narrower.sort(key=lambda setting: setting.file == MEMSW)
    return Changes(tuple(wider), tuple(narrower))


def _texts(limits: Limits, version: int) -> dict[str, str]:
    """Text by file, and by device where a file has one line for each."""
    return {_key(setting): setting.text for setting in _spelled(limits, version)}


def _spelled(limits: Limits, version: int) -> Iterator[Setting]:
    """As for a fresh group, but a device's line says all four: what is left out would stay as it was."""
    for setting in settings(limits, version):
        if setting.file in DEVICES:
            device, *said = setting.text.split()
            given = dict(word.split("=") for word in said)
            words = (f"{key}={given.get(key, 'max')}" for key in ("rbps", "wbps", "riops", "wiops"))
            yield setting._replace(text=" ".join((device, *words)))
        else:
            yield setting


def _key(setting: Setting) -> str:
    per_device = setting.file in DEVICES or setting.file.startswith("blkio.throttle.")
    return f"{setting.file} {setting.text.split()[0]}" if per_device else setting.file


def _unlimited(key: str, version: int) -> str:
    file, _, device = key.partition(" ")
    if device:
        return device + (DEVICES.get(file) or " 0")
    return UNLIMITED[version].get(file, "100")  # the weights are all that is left


def _controller(file: str) -> str:
    return file.partition(".")[0]


def _shrinks(file: str, was: str, will: str) -> bool:
    """Something that it had, it has no more."""
    if file in CPUSET_FILES:
        return will != INHERITED and (was == INHERITED or not _includes(will, was))
    return file in NUMBERS and _number(will) < _number(was)


def _number(text: str) -> float:
    word = text.split(maxsplit=1)[0]
    return math.inf if word in ("max", "-1") else float(word)


def _includes(one: str, other: str) -> bool:
    return set(parse.cpu_list(one)) >= set(parse.cpu_list(other))
