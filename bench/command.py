"""A whole command line to a quiet daemon, beside the one import that no client of ZeroMQ can do without."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench import systems as s
from bench.world import World


def ctl(world: World, workers: int, rounds: int) -> dict[str, Any]:
    """`circus-cg ctl status` from start to exit, and the floor `python -c 'import zmq'`, taking turns."""
    daemon = s.Ours(world, workers)
    daemon.start()
    status = [str(Path(sys.executable).with_name("circus-cg")), "ctl", "--name", daemon.arbiter_name, "status"]
    commands = {
        "ours": status,
        "floor": [sys.executable, "-c", "import zmq"],
        "with_click": [sys.executable, "-c", "import zmq, click"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took = _seconds(command, daemon.environment())
            if number:  # the first of each only warms the page cache
                times[name].append(took)
    daemon.stop()
    medians = {name: median(values) for name, values in times.items()}
    return {
        "unit": "seconds, median",
        "ours": medians["ours"],
        "floor": medians["floor"],
        "with_click": medians["with_click"],
        "ratio_to_floor": medians["ours"] / medians["floor"],
        "samples": {name: len(values) for name, values in times.items()},
    }


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun
