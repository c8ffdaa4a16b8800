"""What workers use, by their groups, in the fields that `stats` and its subscribers get."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from circus_cg.core.slot import Slot
from circus_cg.host import clock
from circus_cg.spec import WatcherSpec
from circus_cg.units import format_bytes

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner

HOST_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes
OWN_USER = "root" if os.geteuid() == 0 else str(os.geteuid())
UNKNOWN = "N/A"  # as circus says it


async def infos_of(arbiter: Arbiter, runner: WatcherRunner) -> dict[str, dict[str, Any]]:
    found = {}
    living = sorted((slot for slot in runner.slots.values() if slot.alive and slot.pid), key=lambda slot: slot.wid)
    for slot in living:
        await arbiter.pace.rest()
        now = runner.slots.get(slot.wid)
        if now is None or not now.alive or now.generation != slot.generation:
            continue  # while the loop had its turn; what is gone is not looked for
        found[str(slot.pid)] = info_of(arbiter, runner, slot)
    lives = {(slot.wid, slot.generation) for slot in living} | {(0, 0)}
    arbiter.samples.keep(runner.spec.name, lives)
    return found


def info_of(arbiter: Arbiter, runner: WatcherRunner, slot: Slot) -> dict[str, Any]:
    """From the group alone: it counts all that the worker forked."""
    usage = runner.group_of(slot.wid, slot.generation).usage(pressure=False)
    now = clock.now()
    since = now if slot.started is None else slot.started
    life = slot.wid, slot.generation
    percent = arbiter.samples.percent(runner.spec.name, life, usage.cpu_seconds, since, now)
    started = clock.wall() - (now - since)
    return {
        **_without_proc(runner.spec, usage.memory_current, usage.cpu_seconds or 0.0),
        "pid": slot.pid,
        "wid": slot.wid,
        "generation": slot.generation,
        "started": started,
        "create_time": started,
        "age": now - since,
        "cpu": None if percent is None else round(percent, 1),
        "cpu_seconds": usage.cpu_seconds,
        "memory_current": usage.memory_current,
        "memory_peak": usage.memory_peak,
        "memory_max": usage.memory_max,
        "pids": usage.pids,
        "throttled_seconds": usage.throttled_seconds,
    }


def _without_proc(spec: WatcherSpec, memory: int | None, cpu_seconds: float) -> dict[str, Any]:
    """The other fields that circus's clients can't do without, as the watcher and the group know them."""
    return {
        "cmdline": " ".join(spec.cmd),
        "username": OWN_USER if spec.uid is None else str(spec.uid),
        "nice": spec.nice or 0,
        "mem": None if memory is None else round(100.0 * memory / HOST_MEMORY, 1),
        "mem_info1": UNKNOWN if memory is None else format_bytes(memory),
        "mem_info2": UNKNOWN,
        "ctime": ctime(cpu_seconds),
        "children": [],
    }


def total_of(arbiter: Arbiter, runner: WatcherRunner) -> dict[str, Any]:
    usage, now = runner.group.usage(), clock.now()
    percent = arbiter.samples.percent(runner.spec.name, (0, 0), usage.cpu_seconds, None, now)
    return {
        "cpu": None if percent is None else round(percent, 1),
        "cpu_seconds": usage.cpu_seconds,
        "memory_current": usage.memory_current,
        "memory_peak": usage.memory_peak,
        "memory_max": usage.memory_max,
        "pids": usage.pids,
        "pressure": usage.pressure,
    }


def ctime(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"
