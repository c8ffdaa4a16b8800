"""The measures. Each returns {"ours", "floor", "bare_floor", "peers"}: medians in seconds, and the ratios."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bench import systems as s
from bench.command import ctl
from bench.control import control
from bench.sampling import sampling
from bench.spawning import spawn_times
from bench.world import World, cpu_seconds, pss_kb

Result = dict[str, Any]
REST = 0.02  # seconds


def restart(world: World, workers: int, rounds: int) -> Result:
    """SIGKILL to the replacement's first instruction; one kill each in turn, all systems up at once, pollers paused.

    20 ms after the last one, when the aftermath of that is over; and, as `crowded`, at once. Longer pauses would
    measure the host: it gives caches and CPUs to its other guests, and the larger a program the colder it begins.
    """
    fast = [s.Ours(world, workers), s.Floor(world, workers), s.BareFloor(world, workers)]
    slow: list[s.System] = [s.Circus(world, workers), s.CircusFast(world, workers), s.Supervisord(world, workers)]
    slow += [s.Runit(world, workers)] if workers <= 100 else []
    for system in [*fast, *slow]:
        system.start()
        if system in slow:
            time.sleep(1.5)  # its own start-up grace, during which it would call a death a failed start
            system.pause()
    times: dict[str, list[float]] = {system.name: [] for system in [*fast, *slow]}
    crowded: dict[str, list[float]] = {system.name: [] for system in fast}
    for number in range(rounds):
        for pause, found in ((0.0, crowded), (REST, times)):
            for system in fast:
                time.sleep(pause)
                found[system.name].append(system.restart())
        if number % max(1, rounds // 12) == 0:
            for system in slow:
                system.resume()
                time.sleep(
                    0.1 + random.random() * system.period
                )  # an overdue look comes first; then any moment of its period
                times[system.name].append(system.restart())
                system.pause()
    for system in [*fast, *slow]:
        if system in slow:
            system.resume()
        system.stop()
    return {**_summary(times), "crowded": _summary(crowded)}


def start(world: World, workers: int, rounds: int) -> Result:
    """The command to the last worker's first instruction."""
    kinds: list[type[s.System]] = [s.Ours, s.Floor, s.BareFloor, s.Circus, s.Supervisord]
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            if kind in (s.Circus, s.Supervisord) and number >= 2:
                continue  # ten seconds each; two are enough of them
            system = kind(world, workers, f"{kind.name}-{number}")
            times[kind.name].append(system.start())
            time.sleep(0.5)
            system.stop()
    return _summary(times)


def stop(world: World, workers: int, rounds: int) -> Result:
    """SIGTERM to the end of the daemon, every worker gone."""
    kinds: list[type[s.System]] = [s.Ours, s.Floor, s.BareFloor, s.Circus, s.Supervisord]
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            system = kind(world, workers, f"{kind.name}-{number}")
            system.start()
            time.sleep(1.5)
            times[kind.name].append(system.stop())
    return _summary(times)


def idle(world: World, workers: int, rounds: int) -> Result:
    """CPU (percent of a core) and PSS (MB) of all our processes against circusd's, over a quiet ten seconds a round.

    The poller is paused while it is not its turn: it would empty the caches that ours is measured with.
    """
    ours_running, circus_running = s.Ours(world, workers), s.Circus(world, workers)
    running: list[s.System] = [ours_running, circus_running]
    for system in running:
        system.start()
    time.sleep(3.0)
    cpu: dict[str, list[float]] = {system.name: [] for system in running}
    circus_running.pause()
    for _ in range(rounds):
        for system in running:
            if system is circus_running:
                system.resume()
                time.sleep(1.0)  # what it had missed
            before = sum(cpu_seconds(pid) for pid in system.own())
            begun = time.monotonic()
            time.sleep(10.0)
            spent = sum(cpu_seconds(pid) for pid in system.own()) - before
            cpu[system.name].append(100.0 * spent / (time.monotonic() - begun))
            if system is circus_running:
                system.pause()
    circus_running.resume()
    pss = {system.name: sum(pss_kb(pid) for pid in system.own()) / 1024 for system in running}
    for system in running:
        system.stop()
    ours, circus = median(cpu["ours"]), median(cpu["circus"])
    return {
        "unit": "percent of a core",
        "ours": ours,
        "floor": 0.0,
        "bare_floor": 0.0,
        "peers": {"circus": circus},
        "ratio_to_floor": None,
        "ratio_to_bare_floor": None,
        "ratio_to_peer": circus / ours if ours else None,
        "pss_mb": pss,
        "pss_ratio_to_peer": pss["ours"] / pss["circus"],
    }


def spawn(world: World, workers: int, rounds: int) -> Result:
    """One worker's spawn to its first instruction, from one process: launcher, fork fallback, floors, plain Popen."""
    times = spawn_times(world, rounds)
    result = _summary(times)
    popen = median(times["popen"])
    result["ratio_to_popen"] = median(times["ours"]) / popen
    result["fallback_ratio_to_popen"] = median(times["ours_fallback"]) / popen
    return result


def _summary(times: dict[str, list[float]]) -> Result:
    medians = {name: median(values) for name, values in times.items() if values}
    peers = {name: value for name, value in medians.items() if name not in ("ours", "floor", "bare_floor")}
    ours = medians["ours"]
    return {
        "unit": "seconds, median",
        "ours": ours,
        "floor": medians["floor"],
        "bare_floor": medians["bare_floor"],
        "peers": peers,
        "ratio_to_floor": ours / medians["floor"],
        "ratio_to_bare_floor": ours / medians["bare_floor"],
        "ratio_to_peer": peers["circus"] / ours if "circus" in peers else None,
        "samples": {name: len(values) for name, values in times.items()},
    }


MEASURES: dict[str, tuple[Callable[[World, int, int], Result], int, int]] = {
    # name: (measure, default workers, default rounds)
    "spawn": (spawn, 1, 200),
    "start": (start, 1000, 3),
    "restart": (restart, 1, 150),
    "idle": (idle, 1000, 2),
    "stop": (stop, 100, 3),
    "ctl": (ctl, 10, 25),
    "control": (control, 500, 10),
    "sampling": (sampling, 500, 3),
}
