"""circus-cg's own law, with its defaults, fed as a scaler in the arbiter would feed it."""

from __future__ import annotations

from bench.autoscale.plant import MAX, Plant
from circus_cg.core.autoscale import State, decide
from circus_cg.core.load import Sample, WorkerSample
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy

POLICY = ScalePolicy(max=MAX)


class Ours:
    """It sees CPU seconds, quota periods, CPU pressure and idle time; neither the queue nor the warm-up."""

    name = "circus-cg"

    def __init__(self, policy: ScalePolicy = POLICY) -> None:
        self.policy, self.period = policy, policy.sample
        self.state = State()

    def look(self, plant: Plant) -> int:
        self.state, decision = decide(self.policy, self.state, (sample_of(plant),), plant.now)
        return plant.size if decision.wanted is None else decision.wanted


def sample_of(plant: Plant) -> Sample:
    """A worker counts as ready from its first moment, as after an exec: nobody tells us of its warm-up."""
    has_quota = plant.trace.quota is not None
    return Sample(
        at=plant.now,
        workers=tuple(
            WorkerSample(worker.number, 1, Phase.READY, worker.born, plant.cpu_seconds(worker))
            for worker in plant.workers
        ),
        watcher_cpu_max=plant.trace.quota,
        nr_periods=plant.periods if has_quota else None,
        nr_throttled=plant.throttled if has_quota else None,
        cpu_some=plant.pressure,
        host_idle_seconds=plant.idle_seconds,
    )
