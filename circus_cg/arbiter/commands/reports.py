"""ps, status, list, numprocesses, numwatchers: read when asked for and never otherwise."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of, runners_of
from circus_cg.arbiter.report import held, status_of, worker_rows
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.rpc import messages as rpc


async def ps(arbiter: Arbiter, asked: rpc.Which) -> Fields:
    chosen = runners_of(arbiter, asked.name, asked.match)
    rows = [row for runner in chosen for row in await worker_rows(arbiter, runner)]
    return {"workers": rows, **_beside(arbiter, chosen)}


def status(arbiter: Arbiter, asked: rpc.Which) -> Fields:
    """One watcher's own by its name, as circus does; else all that are meant."""
    if isinstance(asked.name, str) and asked.match == "simple":
        runner = runner_of(arbiter, asked.name)
        return {"status": status_of(runner), "name": runner.spec.name, **_beside(arbiter, [runner])}
    chosen = runners_of(arbiter, asked.name, asked.match)
    return {"statuses": {runner.spec.name: status_of(runner) for runner in chosen}, **_beside(arbiter, chosen)}


def autoscaling(arbiter: Arbiter, chosen: list[WatcherRunner]) -> Fields:
    """Who counts the workers of those watchers that have an autoscaler, and what it thinks."""
    names = [runner.spec.name for runner in chosen]
    found = {name: shown for name in names if (shown := arbiter.governors.shown(name)) is not None}
    return {"autoscale": found} if found else {}


def list_(arbiter: Arbiter, asked: rpc.Which) -> Fields:
    """The watchers; of one by its name the pids."""
    if isinstance(asked.name, str) and asked.match == "simple":
        return {"pids": _pids(runner_of(arbiter, asked.name))}
    return {"watchers": sorted(runner.spec.name for runner in runners_of(arbiter, asked.name, asked.match))}


def numprocesses(arbiter: Arbiter, asked: rpc.OneOrAll) -> Fields:
    """How many live, not how many are wanted."""
    if asked.name is None:
        return {"numprocesses": sum(len(_pids(runner)) for runner in arbiter.runners.values())}
    runner = runner_of(arbiter, asked.name)
    return {"numprocesses": len(_pids(runner)), "watcher_name": runner.spec.name}


def numwatchers(arbiter: Arbiter, asked: rpc.Nothing) -> Fields:
    return {"numwatchers": len(arbiter.runners)}


def _beside(arbiter: Arbiter, chosen: list[WatcherRunner]) -> Fields:
    """What some watchers have to tell beside their status."""
    return autoscaling(arbiter, chosen) | held(chosen)


def _pids(runner: WatcherRunner) -> list[int]:
    living = sorted(runner.slots.values(), key=lambda slot: slot.wid)
    return [slot.pid for slot in living if slot.alive and slot.pid is not None]
