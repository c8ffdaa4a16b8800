"""What a watcher's workers are to be given that this process may not give: known before anything is started."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from circus_cg import linux, units
from circus_cg.spec import WatcherSpec


class Privileges(NamedTuple):
    """Of the process that a daemon is made from."""

    effective: int  # 1 << capability
    permitted: int
    bounding: int
    oom_score_adj: int
    hard: dict[str, int | None]  # rlimit -> its hard value; None: infinity
    nice: int
    cpus: frozenset[int]  # those it could be pinned to

    def may(self, capability: str) -> bool:
        return bool(self.effective & linux.capability_mask([capability]))


def held() -> Privileges:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    effective, permitted, bounding = (int(status[one], 16) for one in ("CapEff", "CapPrm", "CapBnd"))
    return Privileges(
        effective=effective,
        permitted=permitted,
        bounding=bounding,
        oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
        hard={name: _hard(number) for name, number in _rlimits().items()},
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        cpus=_cpus(),
    )


def refusals(spec: WatcherSpec, mine: Privileges) -> Iterator[str]:
    """One line for each thing that can't be granted: `option: why; what to do`."""
    if not mine.may("sys_resource"):
        yield from _resources(spec, mine)
    if not mine.may("sys_nice"):
        yield from _scheduling(spec, mine)
    if spec.ionice_class == "realtime" and not mine.may("sys_nice") and not mine.may("sys_admin"):
        yield "ionice_class: cannot use realtime: no CAP_SYS_NICE here; use best-effort"
    if spec.bounding_capabilities is not None and not mine.may("setpcap"):
        beyond = mine.bounding & ~linux.capability_mask(spec.bounding_capabilities)
        if beyond:
            yield "bounding_capabilities: cannot drop any: no CAP_SETPCAP here; remove it"
    missing = [name for name in spec.ambient_capabilities or () if not _can_have(name, mine)]
    if missing:
        yield f"ambient_capabilities: cannot give {', '.join(missing)}: the daemon has it not itself; remove it"
    if spec.cpu_affinity is not None:
        wanted = {cpu for first, last in units.parse_ranges(spec.cpu_affinity) for cpu in range(first, last + 1)}
        if absent := sorted(wanted - mine.cpus):
            yield f"cpu_affinity: cannot run on CPU {absent[0]}: this host has it not for us; correct it"


def _resources(spec: WatcherSpec, mine: Privileges) -> Iterator[str]:
    """None of these without CAP_SYS_RESOURCE."""
    adjusted = spec.oom_score_adj
    if adjusted is not None and adjusted < min(0, mine.oom_score_adj):
        yield f"oom_score_adj: cannot lower it to {adjusted}: no CAP_SYS_RESOURCE here; give 0 or more"
    for name, limit in spec.rlimits.items():
        most = mine.hard.get(name)
        if most is not None and (limit.hard is None or limit.hard > most):
            asked = "infinity" if limit.hard is None else limit.hard
            yield (
                f"rlimits.{name}: cannot raise the hard limit to {asked}: no CAP_SYS_RESOURCE here;"
                f" give at most {most}, or raise it where the daemon is started"
            )


def _scheduling(spec: WatcherSpec, mine: Privileges) -> Iterator[str]:
    """None of these without CAP_SYS_NICE, but for what an rlimit allows."""
    if spec.nice is not None and spec.nice < mine.nice:
        most = mine.hard["nice"]
        if most is not None and 20 - spec.nice > most:
            yield f"nice: cannot lower it to {spec.nice}: no CAP_SYS_NICE here; give {mine.nice} or more"
    if spec.sched_policy in linux.REAL_TIME and mine.hard["rtprio"] == 0:
        yield f"sched_policy: cannot use {spec.sched_policy}: no CAP_SYS_NICE here; use another policy"


def _can_have(name: str, mine: Privileges) -> bool:
    mask = linux.capability_mask([name])
    return bool(mine.permitted & mine.bounding & mask)


def _rlimits() -> dict[str, int]:
    return {
        name.removeprefix("RLIMIT_").lower(): getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_"
    }


def _hard(number: int) -> int | None:
    value = resource.getrlimit(number)[1]
    return None if value == resource.RLIM_INFINITY else value


def _cpus() -> frozenset[int]:
    """The online ones: a mask of ours that is narrower can be widened again."""
    try:
        text = Path("/sys/devices/system/cpu/online").read_text().strip()
        return frozenset(cpu for first, last in units.parse_ranges(text) for cpu in range(first, last + 1))
    except (OSError, ValueError):
        return frozenset(os.sched_getaffinity(0))
