"""The network endpoint: a round trip beside the bare floor; 16 clients, and the statistics of all, beside circus."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import zmq

from bench import systems as s
from bench.world import World

CLIENTS = 16
SPELL = 2.0  # seconds that 16 clients ask in a row, before it is the other's turn
TRIPS = 300  # round trips in a row
COMMAND = {"command": "numwatchers", "properties": {}}


class OursAfar(s.Ours):
    """With a network endpoint on the loopback; bounds that a measure doesn't reach."""

    def __init__(self, world: World, workers: int) -> None:
        super().__init__(world, workers)
        self.port = _free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.keys = self.home / "keys"
        self.public, self.secret, self.server = self._made_keys()

    def more(self) -> dict[str, Any]:
        bounds = {"rate": 1e6, "burst": 1_000_000, "queue": 1000, "connections": 256}
        return {"control": {"tcp": self.endpoint, "keys": str(self.keys), **bounds}}

    def _made_keys(self) -> tuple[bytes, bytes, bytes]:
        program = [str(Path(sys.executable).with_name("circus-cg")), "keys", "--directory", str(self.keys)]

        def keys(*arguments: str) -> str:
            done = subprocess.run([*program, *arguments], check=True, capture_output=True, text=True)
            return done.stdout.strip()

        server = keys("init")
        public = keys("new", "bench", "--into", str(self.home / "own"))
        keys("authorize", public, "--name", "bench", "--role", "admin")
        lines = (self.home / "own" / "bench.key").read_text().splitlines()
        secret = next(line.split()[1] for line in lines if line.startswith("secret "))
        return bytes.fromhex(public), bytes.fromhex(secret), bytes.fromhex(server)


class CircusTcp(s.Circus):
    """circus as it is by default: tcp, and nothing encrypted."""

    def __init__(self, world: World, workers: int) -> None:
        super().__init__(world, workers)
        self._endpoint = f"tcp://127.0.0.1:{_free_port()}"

    @property
    def endpoint(self) -> str:
        return self._endpoint


def control(world: World, workers: int, rounds: int) -> dict[str, Any]:
    ours, circus = OursAfar(world, workers), CircusTcp(world, workers)
    ours.start()
    circus.start()
    time.sleep(2.0)
    curve = {"CURVE_PUBLICKEY": ours.public, "CURVE_SECRETKEY": ours.secret, "CURVE_SERVERKEY": ours.server}
    try:
        with _echo(ours) as echo:
            found = _round_trips({"ours": ours.endpoint, "floor": echo}, curve, rounds)
        found |= _many({"ours": (ours.endpoint, curve), "circus": (circus.endpoint, {})}, rounds)
        found |= _statistics({"ours": (ours.endpoint, curve), "circus": (circus.endpoint, {})}, rounds)
    finally:
        circus.stop()
        ours.stop()
    return found


@contextmanager
def _echo(ours: OursAfar) -> Iterator[str]:
    secret = (ours.keys / "server.key").read_text().split("secret ")[-1].strip()
    port = _free_port()
    command = [sys.executable, "-m", "bench.echo", str(port), secret, ours.public.hex()]
    process = subprocess.Popen(command)
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _round_trips(endpoints: dict[str, str], curve: dict[str, bytes], rounds: int) -> dict[str, Any]:
    """The floor sends back an answer of the same size as a request of ours."""
    body = json.dumps({"id": "0" * 32, **COMMAND}).encode()
    times: dict[str, list[float]] = {name: [] for name in endpoints}
    with _sockets([(endpoint, curve) for endpoint in endpoints.values()]) as sockets:
        for number in range(rounds + 1):
            for name, one in zip(endpoints, sockets, strict=True):
                for _ in range(TRIPS):
                    begun = time.perf_counter()
                    one.send(body)
                    one.recv()
                    if number:  # the first round is the handshake's, and the caches'
                        times[name].append(time.perf_counter() - begun)
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
            with _sockets([system] * CLIENTS) as sockets:
                poller = zmq.Poller()
                for one in sockets:
                    poller.register(one, zmq.POLLIN)
                    one.send(body)
                for one in sockets:
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
            with _sockets([system] * 2) as (first, second):
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


@contextmanager
def _sockets(peers: list[tuple[str, dict[str, bytes]]]) -> Iterator[list[Any]]:
    context = zmq.Context()
    try:
        made = []
        for endpoint, options in peers:
            one = context.socket(zmq.DEALER)
            one.setsockopt(zmq.ROUTING_ID, os.urandom(8).hex().encode())
            for option, value in options.items():
                one.setsockopt(getattr(zmq, option), value)
            one.setsockopt(zmq.RCVTIMEO, 120_000)
            one.connect(endpoint)
            made.append(one)
        yield made
    finally:
        context.destroy(linger=0)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
