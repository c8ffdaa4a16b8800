"""stats, dstats: what workers use, by their groups; and what only /proc tells, for one watcher or process at a time."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runners_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.slot import Slot
from circus_cg.host import clock, processes
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno
from circus_cg.spec import WatcherSpec
from circus_cg.units import format_bytes

HOST_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # bytes
OWN_USER = "root" if os.geteuid() == 0 else str(os.geteuid())
UNKNOWN = "N/A"  # as circus says it
AT_ONCE = 50  # workers looked at before the loop gets its turn: 5 ms


async def stats(arbiter: Arbiter, asked: rpc.Stats) -> Fields:
    """As circus: `infos` by watcher and pid; `info` by pid for one name; `info` of one process.

    `total` is the watcher's own group: its workers together.
    """
    chosen = runners_of(arbiter, asked.name, asked.match)
    if asked.process is not None:
        return await _process(arbiter, chosen, asked)
    if asked.extended and len(chosen) != 1:
        raise BadMessage(Errno.BAD_MSG_DATA, "cannot give extended stats of several watchers: name one")
    infos = {runner.spec.name: await _infos(arbiter, runner) for runner in chosen}
    totals = {runner.spec.name: _total(arbiter, runner) for runner in chosen}
    if asked.extended:
        await _extend(chosen[0], infos[chosen[0].spec.name])
    if isinstance(asked.name, str) and asked.match == "simple":
        name = chosen[0].spec.name
        return {"name": name, "info": infos[name], "total": totals[name]}
    return {"infos": infos, "totals": totals}


async def dstats(arbiter: Arbiter, asked: rpc.Nothing) -> Fields:
    """The keeper, and below it the arbiter and the launcher; as a library this process comes first."""
    own = arbiter.tree.daemon_pids()
    first = os.getppid() if os.getppid() in own else os.getpid()
    found = await asyncio.to_thread(processes.details, [first, *(pid for pid in own if pid != first)])
    rows = {pid: _in_circus_words(one) for pid, one in found.items()}
    info = rows.pop(first, {})
    return {"info": {**info, "children": list(rows.values()), "watchers": len(arbiter.runners)}}


async def _process(arbiter: Arbiter, chosen: list[WatcherRunner], asked: rpc.Stats) -> Fields:
    pid = str(asked.process)
    for runner in chosen:
        for slot in runner.slots.values():
            if slot.alive and str(slot.pid) == pid:
                infos = {pid: _info(arbiter, runner, slot)}
                if asked.extended:
                    await _extend(runner, infos)
                return {"process": slot.pid, "watcher": runner.spec.name, "info": infos[pid]}
    raise BadMessage(Errno.COMMAND_ERROR, f"cannot give stats of {pid[:20]}: no worker has that pid; `ps` shows them")


async def _infos(arbiter: Arbiter, runner: WatcherRunner) -> dict[str, dict[str, Any]]:
    found = {}
    living = sorted((slot for slot in runner.slots.values() if slot.alive and slot.pid), key=lambda slot: slot.wid)
    for number, slot in enumerate(living, 1):
        found[str(slot.pid)] = _info(arbiter, runner, slot)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    lives = {(slot.wid, slot.generation) for slot in living} | {(0, 0)}
    arbiter.samples.keep(runner.spec.name, lives)
    return found


def _info(arbiter: Arbiter, runner: WatcherRunner, slot: Slot) -> dict[str, Any]:
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
        "ctime": _ctime(cpu_seconds),
        "children": [],
    }


def _total(arbiter: Arbiter, runner: WatcherRunner) -> dict[str, Any]:
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


async def _extend(runner: WatcherRunner, infos: dict[str, dict[str, Any]]) -> None:
    """Circus's fields, for each worker and for what it forked. /proc is read beside the loop."""
    members: dict[int, list[int]] = {}
    for info in infos.values():
        group = runner.group_of(info["wid"], info["generation"])
        members[info["pid"]] = [pid for pid in group.members() if pid != info["pid"]]
    everybody = [pid for pid, others in members.items() for pid in (pid, *others)]
    found = await asyncio.to_thread(processes.details, everybody)
    for info in infos.values():
        own = found.get(info["pid"])
        if own is not None:
            words = _in_circus_words(own)
            cpu = info["cpu"] if info["cpu"] is not None else words["cpu"]
            info |= {**words, "cpu": cpu, "age": info["age"], "cpu_seconds": info["cpu_seconds"]}
        info["children"] = [_in_circus_words(found[pid]) for pid in members[info["pid"]] if pid in found]


def _in_circus_words(found: dict[str, Any]) -> dict[str, Any]:
    """`cpu` is the percent over its whole life: /proc alone knows no other."""
    age = max(0.001, clock.wall() - found["create_time"])
    seconds = found["cpu_seconds"]
    return {
        "pid": found["pid"],
        "cmdline": " ".join(found["cmdline"]),
        "username": found["username"],
        "nice": found["nice"],
        "cpu": round(100.0 * seconds / age, 1),
        "mem": found["mem"],
        "mem_info1": format_bytes(found["rss"]),
        "mem_info2": format_bytes(found["vms"]),
        "ctime": _ctime(seconds),
        "create_time": found["create_time"],
        "age": age,
    }


def _ctime(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"
