"""`python -m bench NAME [--workers N] [--rounds N] [--json]`; the last line is one JSON object.

`python -m bench autoscale [--seed S] [--traces N] [--json]` runs nothing: it simulates.
`python -m bench live [--json]` runs stress-ng on a live watcher; status 1 if its law said other than the simulation.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import Any

from bench.autoscale.score import AUTOSCALE, autoscale
from bench.live.run import LIVE, live
from bench.measures import MEASURES
from bench.peers import from_debian, prepare
from bench.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("name", choices=[*MEASURES, AUTOSCALE, LIVE])
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=21, help="of autoscale's random traces; 1 to 20 were developed on")
    parser.add_argument("--traces", type=int, default=200, help="how many of them")
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    asked = parser.parse_args()
    if asked.name == AUTOSCALE:
        show({"bench": AUTOSCALE, **autoscale(asked.seed, asked.traces)}, quiet=asked.json)
        return
    prepare(quiet=asked.json, peers=asked.name not in ("ctl", "sampling", LIVE))
    if asked.name == LIVE:
        from_debian("stress-ng", "stress-ng", quiet=asked.json)
    world = World()
    try:
        result = {"bench": asked.name, **measured(world, asked)}
    finally:
        shutil.rmtree(world.scratch, ignore_errors=True)
    show(result, quiet=asked.json)
    if not result.get("same", True):
        sys.exit(1)


def measured(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    if asked.name == LIVE:
        return live(world, quiet=asked.json)
    measure, workers, rounds = MEASURES[asked.name]
    workers, rounds = asked.workers or workers, asked.rounds or rounds
    return {"workers": workers, **measure(world, workers, rounds)}


def show(result: dict[str, Any], *, quiet: bool) -> None:
    if not quiet:
        for key, value in result.items():
            if key == "scenarios":
                continue  # each was told when it was over
            print(f"{key:>22}  {value}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":  # the simulation's processes import it
    main()
