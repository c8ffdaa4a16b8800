"""Ours with a network endpoint, its keys, and sockets to ask it with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import zmq

from bench import systems as s
from bench.world import World, children

COMMAND = {"command": "numwatchers", "properties": {}}


class OursAfar(s.Ours):
    """On the loopback; with bounds that a measure doesn't reach, unless it is about them."""

    bounds: ClassVar[dict[str, Any]] = {"rate": 1e6, "burst": 1_000_000, "queue": 1000, "connections": 256}

    def __init__(self, world: World, workers: int, label: str | None = None) -> None:
        super().__init__(world, workers, label)
        self.port = free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.keys = self.home / "keys"
        self.server = bytes.fromhex(self._keys("init"))
        self.curve = self.key("bench", "admin")

    def more(self) -> dict[str, Any]:
        return {"control": {"tcp": self.endpoint, "keys": str(self.keys), **self.bounds}}

    def key(self, name: str, role: str = "observe") -> dict[str, bytes]:
        """One that is authorized, as options of a socket."""
        public = self._keys("new", name, "--into", str(self.home / "own"))
        self._keys("authorize", public, "--name", name, "--role", role)
        lines = (self.home / "own" / f"{name}.key").read_text().splitlines()
        secret = next(line.split()[1] for line in lines if line.startswith("secret "))
        made = {"CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret}
        return {**{option: bytes.fromhex(value) for option, value in made.items()}, "CURVE_SERVERKEY": self.server}

    @property
    def arbiter(self) -> int:
        """Its pid: of the keeper's children the one that has the endpoint's code."""
        return next(
            pid for pid in children(self.daemon) if b"circus_cg.arbiter" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    def _keys(self, *arguments: str) -> str:
        program = [str(Path(sys.executable).with_name("circus-cg")), "keys", "--directory", str(self.keys)]
        done = subprocess.run([*program, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()


@contextmanager
def sockets(peers: list[tuple[str, dict[str, bytes]]]) -> Iterator[list[Any]]:
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


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
