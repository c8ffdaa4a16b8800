"""What is played, on the plant and for real. Work is counted in workers: 1 is what one worker may use, UNIT CPUs.

A scenario says what happens to the watcher and never what the law makes of it: that comes out of the simulation. What
it does say is how many workers would be of use at the end of each stage, by arithmetic that knows no law, and what
stands in the way of more; see `verdicts.lacks`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from circus_cg.core.room import Veto
from circus_cg.spec import ScalePolicy

UNIT = 0.05  # CPUs that one worker may use: a few fit on a host that others use, too
MOST = 4
# As the defaults, with windows of seconds.
POLICY = ScalePolicy(
    max=MOST, grow_at=0.8, target=0.6, shrink_at=0.3, grow_window=2.0, shrink_window=5.0, sample=1.0, warmup=1.0
)


@dataclass(frozen=True)
class Stage:
    """`demand`: work for all workers together, shared equally; what nobody has time for goes away."""

    name: str
    seconds: float
    demand: float
    starved: bool = False  # others, nicer than we, use all that the workers leave
    crashing: bool = False  # all workers but the first end at once, and wait for their next life
    obstacle: Veto | None = None  # what keeps the number from what the load calls for


@dataclass(frozen=True)
class Scenario:
    name: str
    stages: tuple[Stage, ...]
    begin: int = 1  # workers
    least: int = 1
    quota: float | None = None  # of all workers together, in workers

    def useful(self, stage: Stage) -> int:
        """So many workers do what can be done of the demand, none of them busier than the policy's target."""
        most = float(MOST)
        if self.quota is not None:
            most = math.ceil(self.quota)
        if stage.starved or stage.crashing:
            most = self.begin  # one more would get nothing, or end as the others do
        return int(max(self.least, min(most, math.ceil(stage.demand / POLICY.target))))


MUCH = 2.0 * MOST

SCENARIOS = (
    Scenario("step", (Stage("busy", 20, MUCH, obstacle=Veto.AT_MAX), Stage("bored", 20, 0.0))),
    Scenario("steady", (Stage("steady", 15, 1.2),), begin=2),
    Scenario("quota", (Stage("busy", 18, MUCH, obstacle=Veto.QUOTA_BOUND),), quota=2.0),
    Scenario(
        "starved",
        (
            Stage("starved", 12, MUCH, starved=True, obstacle=Veto.STARVED),
            Stage("alone", 20, MUCH, obstacle=Veto.AT_MAX),
        ),
    ),
    Scenario(
        "crash-loop",
        (
            Stage("crashing", 15, MUCH, crashing=True, obstacle=Veto.CRASH_LOOP),
            Stage("cured", 20, MUCH, obstacle=Veto.AT_MAX),
        ),
        begin=2,
        least=2,
    ),
)
