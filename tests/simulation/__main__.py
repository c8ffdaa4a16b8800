"""Replay one seed: python -m tests.simulation --seed N [--steps M] [--story]."""

import argparse

from tests.simulation.world import play

parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="A whole arbiter, simulated by seed.")
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--story", action="store_true", help="print everything that happened")
asked = parser.parse_args()
world = play(asked.seed, asked.steps)
if asked.story:
    print("\n".join(world.story))
lives = sum(entry.generation for entry in world.host.entries.values())
print(f"seed {asked.seed}: {asked.steps} steps, {world.now:.0f} s, {len(world.story)} events, {lives} lives: kept")
