"""What others feel of who floods the endpoint, with its bounds as they are by default; and what it leaves in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, ClassVar

import zmq

from bench.endpoint import COMMAND, OursAfar, sockets
from bench.flooder import HALF_OPEN
from bench.world import World

KINDS = ("fast", "deaf", "half_open")
SPELL = 4.0  # seconds of each, quiet and flooded in turn
PAUSE = 0.02  # seconds between two questions of who is not the flooder: half of what a key may ask
PARTS = 100_000
CPU_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/cpu")


class Bounded(OursAfar):
    bounds: ClassVar[dict[str, Any]] = {}


def floods(world: World, workers: int, rounds: int) -> dict[str, Any]:
    """`half_open_memory`, `parts_memory`: MB that the arbiter had more at its peak; `..._after`: that it kept."""
    ours = Bounded(world, workers, "bounded")
    other, flood = ours.curve, ours.key("flood")
    ours.start()
    time.sleep(1.0)
    times: dict[str, list[float]] = {"quiet": [], "flood": []}
    restarts: dict[str, list[float]] = {"quiet": [], "flood": []}
    try:
        with sockets([(ours.endpoint, other)]) as (one,):
            _trips(one, 0.5)
            memory = _half_open(ours, flood, one)
            for _ in range(rounds):
                times["quiet"] += _trips(one, SPELL)
                restarts["quiet"] += [ours.restart() for _ in range(5)]
                with _flooded(ours, flood, KINDS):
                    times["flood"] += _trips(one, SPELL)
                    restarts["flood"] += [ours.restart() for _ in range(5)]
            memory |= _parts(ours, flood)
    finally:
        ours.stop()
    p99 = {name: quantiles(values, n=100)[-1] for name, values in times.items()}
    ends = {name: median(values) for name, values in restarts.items()}
    return {
        "p99_quiet": p99["quiet"],
        "p99_flood": p99["flood"],
        "p99_flood_ratio": p99["flood"] / p99["quiet"],
        "restart_flood_ratio": ends["flood"] / ends["quiet"],
        **memory,
    }


def _trips(one: Any, seconds: float) -> list[float]:
    body = json.dumps({"id": "0" * 32, **COMMAND}).encode()
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        one.send(body)
        one.recv()
        found.append(time.perf_counter() - begun)
        time.sleep(PAUSE)
    return found


@contextmanager
def _leftovers() -> Iterator[Path | None]:
    """A group whose processes have the CPU that nobody else wants: flooders stand for other machines. Niceness would
    not do, it holds only within a session (sched_autogroup). None where there is no such group.
    """
    for mount in CPU_MOUNTS:
        group = Path(mount) / f"circus-cg-bench-{os.getpid()}-flood"
        if not (group.parent / "cgroup.procs").exists():
            continue
        group.mkdir()
        if not (group / "cpu.idle").exists():  # before Linux 5.15, or the controller is elsewhere
            group.rmdir()
            continue
        (group / "cpu.idle").write_text("1")
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


@contextmanager
def _flooded(ours: OursAfar, keys: dict[str, bytes], kinds: tuple[str, ...]) -> Iterator[None]:
    with _leftovers() as group:
        yield from _flooding(ours, keys, kinds, group)


def _flooding(ours: OursAfar, keys: dict[str, bytes], kinds: tuple[str, ...], group: Path | None) -> Iterator[None]:
    processes = []
    try:
        for kind in kinds:
            command = [sys.executable, "-m", "bench.flooder", kind, str(ours.port)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(process)
            if group is not None:
                (group / "cgroup.procs").write_text(str(process.pid))
            assert process.stdin is not None
            process.stdin.write(json.dumps({name: value.hex() for name, value in keys.items()}) + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "begun\n"
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _half_open(ours: OursAfar, keys: dict[str, bytes], one: Any) -> dict[str, float]:
    """Of `HALF_OPEN` connections; and once their handshakes' time is over."""
    with _peak(ours) as peak, _flooded(ours, keys, ("half_open",)):
        _trips(one, 2.0)
    time.sleep(6.0)  # handshake_timeout is 5
    return {"half_open": HALF_OPEN, "half_open_memory": peak(), "half_open_memory_after": peak(now=True)}


def _parts(ours: OursAfar, keys: dict[str, bytes]) -> dict[str, float]:
    with _peak(ours) as peak, sockets([(ours.endpoint, dict[str, Any](keys) | {"RECONNECT_IVL": -1})]) as (dealer,):
        dealer.monitor("inproc://parts", zmq.EVENT_DISCONNECTED)
        monitor = dealer.context.socket(zmq.PAIR)
        monitor.connect("inproc://parts")
        dealer.send_multipart([b"x"] * PARTS)
        dropped = bool(monitor.poll(60_000))
        dealer.disable_monitor()
    return {"parts_memory": peak(), "parts_refused": float(dropped)}


@contextmanager
def _peak(ours: OursAfar) -> Iterator[Any]:
    """Calls tell MB that the arbiter has had more than before, at its peak or `now`."""
    status, clear = (Path(f"/proc/{ours.arbiter}/{name}") for name in ("status", "clear_refs"))

    def megabytes(name: str) -> float:
        return int(status.read_text().partition(f"{name}:")[2].split()[0]) / 1024

    clear.write_text("5")  # the peak begins anew
    before = megabytes("VmRSS")
    yield lambda now=False: megabytes("VmRSS" if now else "VmHWM") - before
