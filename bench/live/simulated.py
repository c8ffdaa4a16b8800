"""The scenarios on the simulated plant, under circus-cg's own law: what the live watcher must do, too.

The plant's CPU is what one worker may use, so its host has CPUs / UNIT of them. It knows no crashes: a worker that
waits for its next life is added to what the law sees, as the law's own tests do it. Neighbours that are nicer than the
workers take what those leave; the plant serves neighbours first, so they take all but what the workers of the beginning
can use. That is the same for as long as no worker is added.
"""

from __future__ import annotations

from itertools import count, islice

from msgspec.structs import replace

from bench.autoscale.ours import sample_of
from bench.autoscale.plant import Plant
from bench.autoscale.traces import TICK, Trace
from bench.live.scenarios import POLICY, UNIT, Scenario, Stage
from bench.live.verdicts import GLANCE, Outcome, Thought, Verdict
from circus_cg.core.account import is_news, subject
from circus_cg.core.autoscale import State, decide
from circus_cg.core.load import WorkerSample
from circus_cg.core.state import Phase

BIRTH = 0.5  # seconds until a new worker works


def simulated(scenario: Scenario, cpus: int) -> list[Outcome]:
    """`cpus`: the host's."""
    policy = replace(POLICY, min=scenario.least)
    plant = Plant(_trace(scenario, cpus / UNIT), _living(scenario.begin, scenario.stages[0]))
    state, told_at, ticks, wanted = State(), dict[str, float](), count(), scenario.begin
    outcomes = []
    for stage in scenario.stages:
        told: list[Verdict] = []
        thoughts: list[Thought] = []
        plant.resize(_living(wanted, stage))
        for number in islice(ticks, _ticks(stage)):
            if number % round(policy.sample / TICK) == 0:
                sample = sample_of(plant)
                waiting = (WorkerSample(-wid, 1, Phase.BACKOFF) for wid in range(1, wanted - plant.size + 1))
                sample = replace(sample, workers=(*sample.workers, *waiting))
                state, decision = decide(policy, state, (sample,), plant.now)
                verdict = Verdict(decision.verdict, decision.veto)
                if is_news(decision, told_at, plant.now):
                    told_at[subject(decision)] = plant.now
                    told.append(verdict)
                wanted = wanted if decision.wanted is None else decision.wanted
                plant.resize(_living(wanted, stage))
                thoughts.append(Thought(wanted, verdict))
            plant.tick(number)
        outcomes.append(Outcome(stage.name, tuple(told), tuple(thoughts[-round(GLANCE / policy.sample) :])))
    return outcomes


def _living(wanted: int, stage: Stage) -> int:
    return 1 if stage.crashing else wanted


def _ticks(stage: Stage) -> int:
    return round(stage.seconds / TICK)


def _trace(scenario: Scenario, host: float) -> Trace:
    arrivals: list[float] = []
    others: list[float] = []
    for stage in scenario.stages:
        arrivals += [stage.demand * TICK] * _ticks(stage)
        others += [host - scenario.begin if stage.starved else 0.0] * _ticks(stage)
    return Trace(scenario.name, tuple(arrivals), tuple(others), host, scenario.quota, warmup=BIRTH, backlog=0.0)
