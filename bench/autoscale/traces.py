"""The loads: what arrives, and what the host has left, tick by tick. All randomness is drawn here, from the seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

TICK = 0.5  # seconds
REQUEST = 0.05  # CPU seconds; the smaller, the smoother the arrivals
BACKLOG = 100.0  # CPU seconds


@dataclass(frozen=True)
class Trace:
    """`arrivals`: CPU seconds of work that arrive in each tick; `others`: CPUs that the host's other tenants use."""

    name: str
    arrivals: tuple[float, ...]
    others: tuple[float, ...]
    host: float = 16.0  # CPUs
    quota: float | None = None  # CPUs, on the sum of the workers
    warmup: float = 3.0  # seconds until a new worker serves, on an idle host
    backlog: float = BACKLOG  # CPU seconds that wait at most


def named(seed: int, seconds: float = 3600.0) -> list[Trace]:
    """The shapes that tell the laws apart, an hour each."""
    draw = Random(f"named {seed}")
    return [
        _trace("steady", draw, lambda t: 3.0, seconds),
        _trace("step", draw, lambda t: 10.0 if 600 <= t % 1800 < 1200 else 1.5, seconds),
        _trace("spikes", draw, lambda t: 5.0 if t % 120 < 10 else 1.0, seconds),
        _trace("sine", draw, lambda t: 5.0 - 4.0 * math.cos(t / 600 * 2 * math.pi), seconds),
        _trace("sawtooth", draw, lambda t: 0.5 + 5.5 * (t % 60) / 60, seconds),
        _trace("ramp", draw, lambda t: 0.5 + 9.5 * (1 - abs(2 * t / seconds - 1)), seconds),
        _trace(
            "saturated-host",
            draw,
            lambda t: 9.0 if t >= 600 else 2.0,
            seconds,
            others=lambda t: 10.0 if t < 2400 else 13.0,
        ),
        _trace("slow-start", draw, lambda t: 6.0 if t % 1200 < 600 else 2.0, seconds, warmup=30.0),
        _noise("noise", draw, seconds),
    ]


def random(seed: int, count: int, seconds: float = 1800.0) -> list[Trace]:
    """`count` traces, each of some of the shapes, on hosts of some sizes; the same for the same seed."""
    return [_drawn(f"{seed}.{number}", Random(f"trace {seed} {number}"), seconds) for number in range(count)]


def _drawn(name: str, draw: Random, seconds: float) -> Trace:
    host = draw.choice((8.0, 16.0, 32.0))
    parts = [_PARTS[kind](draw, seconds) for kind in draw.sample(sorted(_PARTS), draw.randint(1, 3))]
    base = draw.uniform(0.2, 3.0)
    shape = [max(0.0, base + sum(part(number * TICK) for part in parts)) for number in range(round(seconds / TICK))]
    # The most that is asked for: mostly what the host can give, sometimes more.
    most = host * (draw.uniform(0.1, 0.6) if draw.random() < 0.85 else draw.uniform(0.8, 1.3))
    scale = most / max(shape)
    others = draw.uniform(0.0, 0.25) * host
    burst = _levels(draw, seconds) if draw.random() < 0.2 else None  # a neighbour that comes and goes
    quota = max(0.5, most * draw.uniform(0.5, 1.0)) if draw.random() < 0.15 else None
    return _trace(
        name,
        draw,
        lambda t: scale * shape[min(len(shape) - 1, round(t / TICK))],
        seconds,
        others=lambda t: others if burst is None else min(host - 1.0, others + 0.15 * host * burst(t)),
        host=host,
        quota=quota,
        warmup=draw.choice((0.5, 2.0, 3.0, 5.0, 15.0)),
    )


Shape = Callable[[float], float]


def _levels(draw: Random, seconds: float) -> Shape:
    """Steps: a level from 0 to 5, and after 30 s to 10 minutes another."""
    ends, levels, at = [], [], 0.0
    while at < seconds:
        at += draw.uniform(30.0, 600.0)
        ends.append(at)
        levels.append(draw.uniform(0.0, 5.0))
    return lambda t: next(level for end, level in zip(ends, levels, strict=True) if t < end)


def _spikes(draw: Random, seconds: float) -> Shape:
    """Bursts of 3 to 60 s, every minute or ten."""
    every = draw.uniform(60.0, 600.0)
    spikes, at = [], draw.uniform(0.0, every)
    while at < seconds:
        spikes.append((at, at + draw.uniform(3.0, 60.0), draw.uniform(2.0, 8.0)))
        at += draw.expovariate(1 / every)
    return lambda t: sum(height for begin, end, height in spikes if begin <= t < end)


def _sine(draw: Random, seconds: float) -> Shape:
    period, height, phase = draw.uniform(60.0, 1800.0), draw.uniform(0.5, 4.0), draw.uniform(0.0, 2 * math.pi)
    return lambda t: height * (1 + math.sin(2 * math.pi * t / period + phase))


def _saw(draw: Random, seconds: float) -> Shape:
    period, height = draw.uniform(30.0, 600.0), draw.uniform(1.0, 6.0)
    return lambda t: height * (t % period) / period


def _ramp(draw: Random, seconds: float) -> Shape:
    height, down = draw.uniform(1.0, 8.0), draw.random() < 0.5
    return lambda t: height * (1 - t / seconds if down else t / seconds)


def _wander(draw: Random, seconds: float) -> Shape:
    """A random walk drawn back to its middle, a new value every 5 s."""
    values, value = [], 2.0
    for _ in range(int(seconds / 5) + 2):
        value = max(0.0, value + 0.1 * (2.0 - value) + draw.gauss(0.0, 0.4))
        values.append(value)
    return lambda t: values[int(t / 5)]


_PARTS: dict[str, Callable[[Random, float], Shape]] = {
    "levels": _levels,
    "ramp": _ramp,
    "saw": _saw,
    "sine": _sine,
    "spikes": _spikes,
    "wander": _wander,
}


def _noise(name: str, draw: Random, seconds: float) -> Trace:
    wander = _wander(draw, seconds)
    return _trace(name, draw, lambda t: 2.0 * wander(t), seconds)


def _trace(
    name: str, draw: Random, demand: Shape, seconds: float, *, others: Shape = lambda t: 2.0, **host: Any
) -> Trace:
    """Arrivals are requests of REQUEST CPU seconds that know nothing of each other: Poisson, by its normal limit."""
    times = [number * TICK for number in range(round(seconds / TICK))]
    means = [demand(t) * TICK for t in times]
    arrivals = tuple(max(0.0, draw.gauss(mean, math.sqrt(mean * REQUEST))) for mean in means)
    return Trace(name, arrivals, tuple(map(others, times)), **host)
