"""What was decided, in a form in which two runs can be compared: without instants, numbers and repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.live.scenarios import Scenario

GLANCE = 5.0  # seconds: what was thought at the end of a stage is what was thought for most of these


@dataclass(frozen=True)
class Verdict:
    """One decision's. The veto of a growth (what kept it from more) is that of one moment, and is left out."""

    verdict: str
    veto: str | None = None

    def __str__(self) -> str:
        return f"{self.verdict} {self.veto}" if self.verdict == "hold" and self.veto else self.verdict


@dataclass(frozen=True)
class Thought:
    """Also what is no event: a dead band, a least number."""

    workers: int
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.workers} workers, {self.verdict}"


@dataclass(frozen=True)
class Outcome:
    """Of one stage: the decisions that became events, in order, and the looks of its last GLANCE."""

    stage: str
    told: tuple[Verdict, ...]
    thoughts: tuple[Thought, ...]

    @property
    def at_end(self) -> Thought | None:
        """None: nobody looked."""
        return Counter(self.thoughts).most_common(1)[0][0] if self.thoughts else None


def folded(outcomes: Iterable[Outcome]) -> list[str]:
    """Stage by stage: verdicts without repetitions in a row, then what it had come to."""
    sequence: list[str] = []
    for outcome in outcomes:
        told = [str(verdict) for verdict in outcome.told]
        once = [one for number, one in enumerate(told) if number == 0 or told[number - 1] != one]
        sequence += [f"{outcome.stage}: {one}" for one in [*once, f"at the end {outcome.at_end}"]]
    return sequence


def lacks(scenario: Scenario, outcomes: Sequence[Outcome]) -> list[str]:
    """Why the verdicts do not show what the scenario is for; without that, two that do nothing would be the same."""
    found = []
    for stage, outcome in zip(scenario.stages, outcomes, strict=True):
        useful, there = scenario.useful(stage), outcome.at_end
        if there is None or there.workers != useful:
            found.append(f"{stage.name}: {useful} workers are of use, at the end there were {there}")
        if stage.obstacle is not None and f"hold {stage.obstacle}" not in map(str, outcome.told):
            found.append(f"{stage.name}: {stage.obstacle} stands in the way of more, and nobody said so")
    return found
