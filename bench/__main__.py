"""`python -m bench NAME [--workers N] [--rounds N] [--json]`; the last line is one JSON object."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from bench.measures import MEASURES
from bench.peers import prepare
from bench.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("name", choices=MEASURES)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    asked = parser.parse_args()
    measure, workers, rounds = MEASURES[asked.name]
    workers, rounds = asked.workers or workers, asked.rounds or rounds
    prepare(quiet=asked.json, peers=asked.name != "ctl")
    world = World()
    try:
        result = {"bench": asked.name, "workers": workers, **measure(world, workers, rounds)}
    finally:
        shutil.rmtree(world.scratch, ignore_errors=True)
    if not asked.json:
        for key, value in result.items():
            print(f"{key:>22}  {value}", file=sys.stderr)
    print(json.dumps(result))


main()
