"""`./dev fuzz [--frames N] [--seed S]`: frames from keys and strangers; the last line is one JSON object."""

from __future__ import annotations

import argparse
import json
import random
import sys

from tests.fuzz.run import fuzz

NOUGHT = ("crashes", "beyond_role", "touched", "leaked_fds", "grew", "strangers_answered")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    result = {"seed": seed, **fuzz(asked.frames, seed)}
    print(json.dumps(result))
    return int(any(result[count] for count in NOUGHT))


if __name__ == "__main__":
    sys.exit(main())
