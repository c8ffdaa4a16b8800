"""stats, top, dstats: what is used, by groups; and what only /proc tells, for one watcher or process at a time."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runners_of
from circus_cg.arbiter.readings import ctime, info_of, infos_of, total_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.arbiter.snapshot import snapshot
from circus_cg.host import clock, processes
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno
from circus_cg.units import format_bytes


async def stats(arbiter: Arbiter, asked: rpc.Stats) -> Fields:
    """As circus: `infos` by watcher and pid; `info` by pid for one name; `info` of one process.

    `total` is the watcher's own group: its workers together.
    """
    chosen = runners_of(arbiter, asked.name, asked.match)
    if asked.process is not None:
        return await _process(arbiter, chosen, asked)
    if asked.extended and len(chosen) != 1:
        raise BadMessage(Errno.BAD_MSG_DATA, "cannot give extended stats of several watchers: name one")
    infos = {runner.spec.name: await infos_of(arbiter, runner) for runner in chosen}
    totals = {}
    for runner in chosen:
        await arbiter.pace.rest()
        totals[runner.spec.name] = total_of(arbiter, runner)
    if asked.extended:
        await _extend(chosen[0], infos[chosen[0].spec.name])
    if isinstance(asked.name, str) and asked.match == "simple":
        name = chosen[0].spec.name
        return {"name": name, "info": infos[name], "total": totals[name]}
    return {"infos": infos, "totals": totals}


async def top(arbiter: Arbiter, asked: rpc.Which) -> Fields:
    """As snapshot()."""
    return await snapshot(arbiter, runners_of(arbiter, asked.name, asked.match))


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
                infos = {pid: info_of(arbiter, runner, slot)}
                if asked.extended:
                    await _extend(runner, infos)
                return {"process": slot.pid, "watcher": runner.spec.name, "info": infos[pid]}
    raise BadMessage(Errno.COMMAND_ERROR, f"cannot give stats of {pid[:20]}: no worker has that pid; `ps` shows them")


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
        "ctime": ctime(seconds),
        "create_time": found["create_time"],
        "age": age,
    }
