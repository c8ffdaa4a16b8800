"""`./dev bench live [--json]`: each scenario on the simulated plant and on a live watcher, and whether the law said the
same of both.

The live verdicts are the daemon's own record (`ctl events`, `ctl status`), the expected ones are what the same law says
of the same load on the plant. Both are compared as sequences without repetitions; `lacks` tells where they do not show
what the scenario is for. A crash loop is nothing that the plant knows: there the law is given what its own tests give
it, a worker that waits for its next life.

A host that others keep busy gives another load than the plant's. So where the sequences differ and our own look at the
host found less idle CPU than one worker wants, the scenario is played again, up to ATTEMPTS times. What differs on a
host that had CPUs to give differs.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import Any

from bench.live.daemon import Balancer, Watched
from bench.live.host import Watch, wait_idle
from bench.live.scenarios import MOST, POLICY, SCENARIOS, UNIT, Scenario
from bench.live.simulated import simulated
from bench.live.verdicts import GLANCE, Outcome, Thought, folded, lacks
from bench.world import World

LIVE = "live"
ATTEMPTS = 3


def live(world: World, *, quiet: bool) -> dict[str, Any]:
    results = {}
    for scenario in SCENARIOS:
        results[scenario.name] = result = compared(world, scenario)
        if not quiet:
            print(f"{scenario.name:>22}  {summary(result)}", file=sys.stderr)
    same = all(result["same"] and not result["lacks"] for result in results.values())
    return {"scenarios": results, "same": same}


def compared(world: World, scenario: Scenario) -> dict[str, Any]:
    begun = time.monotonic()
    plant = simulated(scenario, os.cpu_count() or 1)
    expected = folded(plant)
    for attempt in range(1, ATTEMPTS + 1):
        wait_idle(3 * POLICY.sample, MOST * UNIT)
        with Watch(POLICY.sample, UNIT) as watch:
            found = folded(played(world, scenario, watch, f"{scenario.name}-{attempt}"))
        if found == expected or not watch.shortages:
            break
    return {
        "live": found,
        "plant": expected,
        "same": found == expected,
        "lacks": lacks(scenario, plant),
        "seconds": round(time.monotonic() - begun, 1),
        "attempts": attempt,
        "shortages": watch.shortages,
    }


def summary(result: dict[str, Any]) -> str:
    said = "same" if result["same"] else f"differs: {result['live']}, not {result['plant']}"
    if not result["same"] and result["shortages"]:
        said += "; others used the host's CPUs meanwhile"
    return "; ".join([said, *result["lacks"], f"{result['seconds']} s"])


def played(world: World, scenario: Scenario, watch: Watch, label: str) -> list[Outcome]:
    outcomes = []
    first, daemon = scenario.stages[0], Watched(world, scenario, label)
    with ExitStack() as ends:
        burning = ends.enter_context(ExitStack())
        if first.starved:
            burning.enter_context(watch.burning())
        daemon.crashing(first.crashing)
        ends.callback(daemon.stop)
        daemon.start()
        balancer = ends.enter_context(Balancer(daemon.desk, first.demand))
        for stage in scenario.stages:
            end = time.monotonic() + stage.seconds
            if not stage.starved:
                burning.close()
            daemon.crashing(stage.crashing)
            balancer.demand = stage.demand
            time.sleep(max(0.0, end - GLANCE - time.monotonic()))
            outcomes.append(Outcome(stage.name, thoughts=thoughts(daemon, end), told=daemon.told()))
    return outcomes


def thoughts(daemon: Watched, end: float) -> tuple[Thought, ...]:
    """Of about each look until then."""
    found = []
    while time.monotonic() < end:
        found.append(daemon.thought())
        time.sleep(max(0.0, min(POLICY.sample, end - time.monotonic())))
    return tuple(found)
