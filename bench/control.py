"""The network endpoint: a round trip beside the bare floor; 16 clients, and the statistics of all, beside circus."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import zmq

from bench import systems as s
from bench.endpoint import COMMAND, OursAfar, free_port, sockets
from bench.floods import floods
from bench.world import World

CLIENTS = 16
SPELL = 2.0  # seconds that 16 clients ask in a row, before it is the other's turn
TRIPS, WARM = 300, 30  # round trips in a row; those before, with the handshake
FLOODED = 20  # workers of who is flooded


class CircusTcp(s.Circus):
    """circus as it is by default: tcp, and nothing encrypted."""

    def __init__(self, world: World, workers: int) -> None:
        super().__init__(world, workers)
        self._endpoint = f"tcp://127.0.0.1:{free_port()}"

    @property
    def endpoint(self) -> str:
        return self._endpoint


def control(world: World, workers: int, rounds: int) -> dict[str, Any]:
    ours, circus = OursAfar(world, workers), CircusTcp(world, workers)
    ours.start()
    circus.start()
    time.sleep(2.0)
    curve = ours.curve
    try:
        with _echo(ours) as echo:
            found = _round_trips({"ours": ours.endpoint, "floor": echo}, curve, 3 * rounds)
        found |= _many({"ours": (ours.endpoint, curve), "circus": (circus.endpoint, {})}, rounds)
        found |= _statistics({"ours": (ours.endpoint, curve), "circus": (circus.endpoint, {})}, rounds)
    finally:
        circus.stop()
        ours.stop()
    return found | floods(world, FLOODED, min(rounds, 5))


@contextmanager
def _echo(ours: OursAfar) -> Iterator[str]:
    secret = (ours.keys / "server.key").read_text().split("secret ")[-1].strip()
    port = free_port()
    command = [sys.executable, "-m", "bench.echo", str(port), secret, ours.curve["CURVE_PUBLICKEY"].hex()]
    process = subprocess.Popen(command)
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _round_trips(endpoints: dict[str, str], curve: dict[str, bytes], rounds: int) -> dict[str, Any]:
    """The floor sends back an answer of the same size as a request of ours.

    Connections are made anew for each round: how the kernel spreads two threads of each side over few CPUs costs one
    45 us more than another for as long as it lasts.
    """
    body = json.dumps({"id": "0" * 32, **COMMAND}).encode()
    times: dict[str, list[float]] = {name: [] for name in endpoints}
    for _ in range(rounds):
        for name, endpoint in endpoints.items():
            with sockets([(endpoint, curve)]) as (one,):
                found = []
                for number in range(TRIPS + WARM):
                    begun = time.perf_counter()
                    one.send(body)
                    one.recv()
                    if number >= WARM:
                        found.append(time.perf_counter() - begun)
                times[name].append(median(found))
    medians = {name: median(values) for name, values in times.items()}
    return {
        "rtt": medians["ours"],
        "rtt_floor": medians["floor"],
        "rtt_ratio_to_floor": medians["ours"] / medians["floor"],
    }


def _many(systems: dict[str, tuple[str, dict[str, bytes]]], rounds: int) -> dict[str, Any]:
    """Requests a second of 16 clients, each of which asks again when it has its answer."""
    body = json.dumps({"id": "0" * 32, **COMMAND}).encode()
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(rounds):
        for name, system in systems.items():
            with sockets([system] * CLIENTS) as made:
                poller = zmq.Poller()
                for one in made:
                    poller.register(one, zmq.POLLIN)
                    one.send(body)
                for one in made:
                    one.recv()
                    one.send(body)
                answers, end = 0, time.perf_counter() + SPELL
                while time.perf_counter() < end:
                    for one, _event in poller.poll(1000):
                        one.recv()
                        one.send(body)
                        answers += 1
                rates[name].append(answers / SPELL)
    ours, circus = (median(rates[name]) for name in ("ours", "circus"))
    return {"requests": ours, "requests_circus": circus, "requests_ratio_to_peer": ours / circus}


def _statistics(systems: dict[str, tuple[str, dict[str, bytes]]], rounds: int) -> dict[str, Any]:
    """`stats` of all workers; and how long a `numprocesses` of somebody else takes that is asked right behind it."""
    stats = json.dumps({"id": "s", "command": "stats", "properties": {}}).encode()
    count = json.dumps({"id": "n", "command": "numprocesses", "properties": {}}).encode()
    took: dict[str, list[float]] = {name: [] for name in systems}
    behind: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(min(rounds, 5) + 1):
        for name, system in systems.items():
            with sockets([system] * 2) as (first, second):
                for one in (first, second):
                    one.send(count)
                    one.recv()
                begun = time.perf_counter()
                first.send(stats)
                second.send(count)
                second.recv()
                waited = time.perf_counter() - begun
                first.recv()
                if number:
                    behind[name].append(waited)
                    took[name].append(time.perf_counter() - begun)
    medians = {name: median(values) for name, values in took.items()}
    return {
        "stats": medians["ours"],
        "stats_circus": medians["circus"],
        "stats_ratio_to_peer": medians["circus"] / medians["ours"],
        "numprocesses_behind_stats": median(behind["ours"]),
        "numprocesses_behind_ratio_to_stats": median(behind["ours"]) / medians["ours"],
        "numprocesses_behind_circus": median(behind["circus"]),
    }
