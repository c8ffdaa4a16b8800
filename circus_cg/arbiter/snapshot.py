"""All that is known of watchers and workers at one instant, counters as they stand: for `top` and for metrics.

Read when somebody asks and never otherwise; who wants rates compares two of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from circus_cg.arbiter.report import status_of
from circus_cg.core.slot import Phase, Slot
from circus_cg.host import clock
from circus_cg.spec import Limits

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner
    from circus_cg.cgroup.usage import Usage

HOST_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes

Document = dict[str, Any]


async def snapshot(arbiter: Arbiter, runners: Iterable[WatcherRunner], *, workers: bool = True) -> Document:
    """{"clock": monotonic seconds, "host", "watchers": [{..., "workers": [...]}]}; None where it is not told."""
    found = []
    for runner in runners:
        await arbiter.pace.rest()
        told = _of_watcher(runner)
        living = sorted((slot for slot in runner.slots.values() if _is_shown(slot)), key=lambda slot: slot.wid)
        for slot in living if workers else ():
            await arbiter.pace.rest()
            now = runner.slots.get(slot.wid, slot)
            if now.generation == slot.generation:  # else it went while the loop had its turn
                told["workers"].append(_of_worker(runner, now))
        found.append(told)
    load = os.getloadavg()
    host = {"cpus": os.cpu_count() or 1, "memory": HOST_MEMORY, "load": list(load)}
    return {"clock": clock.now(), "host": host, "watchers": found}


def _of_watcher(runner: WatcherRunner) -> Document:
    spec = runner.spec
    return {
        "name": spec.name,
        "status": status_of(runner),
        "numprocesses": runner.numprocesses,
        "phases": {phase.value: runner.phases[phase] for phase in Phase},
        "restarts": sum(slot.restarts for slot in runner.slots.values()),
        **_used(runner.group.usage(), spec.watcher_limits),
        "workers": [],
    }


def _of_worker(runner: WatcherRunner, slot: Slot) -> Document:
    usage = runner.group_of(slot.wid, slot.generation).usage()
    return {
        "wid": slot.wid,
        "generation": slot.generation,
        "pid": slot.pid,
        "phase": slot.phase.value,
        "frozen": slot.frozen,
        "restarts": slot.restarts,
        "age": None if slot.started is None else max(0.0, clock.now() - slot.started),
        **_used(usage, runner.spec.limits),
    }


def _used(usage: Usage, limits: Limits) -> Document:
    return {
        "cpu_seconds": usage.cpu_seconds,
        "throttled_seconds": usage.throttled_seconds,
        "periods": usage.nr_periods,
        "throttled_periods": usage.nr_throttled,
        "memory": usage.memory_current,
        "memory_peak": usage.memory_peak,
        "memory_max": limits.memory_max,
        "pids": usage.pids,
        "pids_max": limits.pids_max,
        "cpu_max": limits.cpu_max,
        "pressure": usage.pressure,
    }


def _is_shown(slot: Slot) -> bool:
    """Something lives in it, or is to."""
    return slot.phase in (Phase.STARTING, Phase.READY, Phase.STOPPING, Phase.BACKOFF, Phase.FAILED)
