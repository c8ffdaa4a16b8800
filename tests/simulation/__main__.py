"""A whole arbiter, simulated by seed: as many events as asked for, or one seed again.

./dev simulate --events 10_000_000    seeds from --from on, on all processors, until so many events were met
./dev simulate --seed N [--story]     one seed, as often as you like
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from typing import NamedTuple

from tests.simulation.chance import play
from tests.simulation.pairs import IMPOSSIBLE, POSSIBLE, Met, table
from tests.simulation.story import LINES

STEPS = 500  # moves of one seed, without its end
EVENTS = 200_000


class Played(NamedTuple):
    seed: int
    met: Met
    broken: str | None  # the promise, and the last of the story


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--story", action="store_true", help="and print all that happened")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"to be met (default: {EVENTS:_})")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"moves of one seed (default: {STEPS})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        return _replay(asked.seed, asked.steps, asked.story)
    return _many(asked.first, asked.events, asked.steps, asked.jobs)


def _replay(seed: int, steps: int, story: bool) -> int:
    world = play(seed, steps, lines=LINES if story else 40)
    if story:
        print(*world.story, sep="\n")
    lives = sum(entry.generation for entry in world.host.entries.values())
    print(f"seed {seed}: {steps} moves, {world.now:.0f} s, {world.met.total()} events, {lives} lives: kept")
    return 0


def _many(first: int, events: int, steps: int, jobs: int) -> int:
    met: Met = Counter()
    began, seeds = time.monotonic(), 0
    with multiprocessing.Pool(jobs) as pool:
        wanted = ((seed, steps) for seed in itertools.count(first))
        while met.total() < events:
            for played in pool.starmap(_play, itertools.islice(wanted, 16 * jobs)):
                if played.broken is not None:
                    print(
                        played.broken, f"\nto see it again: ./dev simulate --seed {played.seed} --steps {steps} --story"
                    )
                    return 1
                met += played.met
                seeds += 1
    print(table(met))
    seconds = time.monotonic() - began
    print(f"\n{met.total()} events, {seeds} seeds from {first} on, {seconds:.0f} s: every promise was kept")
    return _missing(met)


def _play(seed: int, steps: int) -> Played:
    try:
        return Played(seed, play(seed, steps).met, None)
    except Exception:  # a bug that is no AssertionError is one all the same
        return Played(seed, Counter(), traceback.format_exc())


def _missing(met: Met) -> int:
    missing = POSSIBLE - met.keys()
    for phase, event in sorted((str(phase), event.__name__) for phase, event in missing):
        print(f"never met: {event} in {phase}")
    return 1 if missing or met.keys() & IMPOSSIBLE.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
