"""A watcher under a load, for the autoscaling law: workers that share what there is to do, a clock that is turned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from circus_cg.core.autoscale import Decision, State, decide
from circus_cg.core.load import Sample, WorkerSample
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy

POLICY = ScalePolicy(max=8)


@dataclass
class Worker:
    wid: int
    ready_at: float | None
    cpu_seconds: float = 0.0
    phase: Phase = Phase.READY


@dataclass
class Watcher:
    """`told` is what else a sample says; `load` in CPUs, what all workers together have to do."""

    policy: ScalePolicy = POLICY
    load: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    now: float = 1000.0
    state: State = field(default_factory=State)
    workers: list[Worker] = field(default_factory=lambda: [Worker(1, 0.0)])
    decisions: list[Decision] = field(default_factory=list)
    born: int = 1

    def sample(self) -> Sample:
        workers = tuple(WorkerSample(w.wid, 1, w.phase, w.ready_at, w.cpu_seconds) for w in self.workers)
        return Sample(at=self.now, workers=workers, **self.told)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        ready = [worker for worker in self.workers if worker.ready_at is not None]
        for worker in ready:
            worker.cpu_seconds += seconds * min(1.0, self.load / len(ready))

    def look(self, seconds: float = 2.0, *, obey: bool = True) -> Decision:
        self.pass_time(seconds)
        self.state, decision = decide(self.policy, self.state, (self.sample(),), self.now)
        self.decisions.append(decision)
        if obey and decision.wanted is not None:
            self.resize(decision.wanted, decision.leaving)
        return decision

    def live(self, seconds: float) -> list[Decision]:
        """The decisions made meanwhile."""
        before = len(self.decisions)
        end = self.now + seconds
        while self.now < end:
            self.look()
        return self.decisions[before:]

    def resize(self, wanted: int, leaving: tuple[int, ...] = ()) -> None:
        while len(self.workers) < wanted:
            self.born += 1
            self.workers.append(Worker(self.born, self.now))
        leaving = leaving or tuple(worker.wid for worker in self.workers[wanted:])
        if len(self.workers) > wanted:
            self.workers = [worker for worker in self.workers if worker.wid not in leaving]

    @property
    def size(self) -> int:
        return len(self.workers)
