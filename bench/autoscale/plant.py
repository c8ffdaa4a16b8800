"""The plant: workers of one CPU each behind one queue, on a host that others use too. A fluid model, tick by tick.

- Work arrives in CPU seconds and waits in the queue (at most the trace's `backlog` of it: clients give up) until a
  ready worker does it; a worker does one CPU second a second, if it gets it. The queue is one: all ready workers are
  equally busy.
- A new worker first warms up: it burns WARM_CPUS and serves nobody for the trace's `warmup`, longer if CPU is short.
- What the workers want is given to the part that the host's other tenants and the quota leave; all get the same share.
- A worker that is stopped is gone at once: those that do not serve yet first, then the youngest.
- What a law may see is what a kernel shows: CPU seconds of each worker, periods of the quota and how many were
  throttled, the host's idle time, CPU pressure (the share of time that was waited, averaged over 10 s as PSI does).

It knows no memory, no crashes, no I/O and no unequal requests. It is a toy, the same for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from bench.autoscale.traces import REQUEST, TICK, Trace

MAX = 32  # workers
WARM_CPUS = 0.6
PERIOD = 0.1  # seconds, of the quota
LONG_AGO = -3600.0
PSI_DECAY = math.exp(-TICK / 10.0)


class Law(Protocol):
    """`look` is called every `period` seconds and says how many workers there should be."""

    name: str
    period: float

    def look(self, plant: Plant) -> int: ...


@dataclass(slots=True, eq=False)
class Worker:
    number: int
    born: float
    warm_in: float  # seconds of undisturbed warm-up left
    ready_at: float | None = None
    burnt: float = 0.0  # CPU seconds of the warm-up
    done_before: float = 0.0  # the plant's `done` and `held` when it became ready
    held_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """`backlog`: mean queue, CPU seconds; `idle`: mean CPUs of workers that did nothing; `peak`: most workers."""

    backlog: float
    idle: float
    actions: int
    reversals: int
    peak: int


class Plant:
    def __init__(self, trace: Trace, workers: int = 1) -> None:
        self.trace = trace
        self.now = 0.0
        self.queue = 0.0  # CPU seconds
        self.done = 0.0  # CPU seconds that each worker would have done, had it been ready from the beginning
        self.held = 0.0  # seconds that each would have had a request, served or waiting for a CPU
        self.served = 0.0  # CPU seconds, by all
        self.pressure = 0.0  # percent
        self.idle_seconds = 0.0  # the host's
        self.periods = 0
        self.throttled = 0
        self.ready: list[Worker] = []
        self.warming: list[Worker] = []
        self._count = 0
        self.resize(workers)
        for worker in self.warming:  # those of the beginning have long been there
            worker.born = worker.ready_at = LONG_AGO
        self.ready, self.warming = self.warming, []

    @property
    def workers(self) -> list[Worker]:
        return self.ready + self.warming

    @property
    def size(self) -> int:
        return len(self.ready) + len(self.warming)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return round(self.queue / REQUEST)

    def cpu_seconds(self, worker: Worker) -> float:
        return worker.burnt + (0.0 if worker.ready_at is None else self.done - worker.done_before)

    def held_seconds(self, worker: Worker) -> float:
        return 0.0 if worker.ready_at is None else self.held - worker.held_before

    def resize(self, wanted: int) -> None:
        while self.size < wanted:
            self._count += 1
            self.warming.append(Worker(self._count, self.now, self.trace.warmup))
        while self.size > wanted:
            (self.warming or self.ready).pop()

    def tick(self, number: int) -> float:
        """One tick; CPU seconds that were served in it."""
        trace, ready = self.trace, len(self.ready)
        waiting = self.queue + trace.arrivals[number]
        work = min(waiting, ready * TICK)
        asked = work + len(self.warming) * WARM_CPUS * TICK
        free = (trace.host - trace.others[number]) * TICK
        allowed = free if trace.quota is None else min(free, trace.quota * TICK)
        given = min(1.0, allowed / asked) if asked else 1.0
        served = work * given
        self.queue = min(trace.backlog, waiting - served)
        self.served += served
        if ready:
            self.done += served / ready
            self.held += work / ready
        if self.warming:
            self._warm(given)
        self.pressure = PSI_DECAY * self.pressure + (1 - PSI_DECAY) * 100.0 * (1.0 - given)
        self.idle_seconds += free - asked * given
        if trace.quota is not None:
            periods = round(TICK / PERIOD)
            self.periods += periods
            self.throttled += periods if asked > trace.quota * TICK else 0
        self.now += TICK
        return served

    def _warm(self, given: float) -> None:
        for worker in self.warming:
            worker.burnt += WARM_CPUS * TICK * given
            worker.warm_in -= TICK * given
        for worker in [worker for worker in self.warming if worker.warm_in <= 0]:
            worker.ready_at = self.now + TICK
            worker.done_before, worker.held_before = self.done, self.held
            self.warming.remove(worker)
            self.ready.append(worker)


def run(trace: Trace, law: Law) -> Score:
    plant = Plant(trace)
    every = round(law.period / TICK)
    backlog = idle = 0.0
    actions = reversals = direction = 0
    peak = plant.size
    for number in range(len(trace.arrivals)):
        if number % every == 0:
            before, wanted = plant.size, max(1, min(MAX, law.look(plant)))
            if wanted != before:
                actions += 1
                reversals += direction * (wanted - before) < 0
                direction = 1 if wanted > before else -1
                plant.resize(wanted)
                peak = max(peak, wanted)
        idle += plant.size * TICK - plant.tick(number)
        backlog += plant.queue
    ticks = len(trace.arrivals)
    return Score(backlog / ticks, idle / (ticks * TICK), actions, reversals, peak)
