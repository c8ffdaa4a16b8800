"""Who was better, on each trace and over all. Backlog, idle capacity and actions: the less, the better."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from statistics import mean, median
from typing import Any

from bench.autoscale.ours import Ours
from bench.autoscale.plant import Score, run
from bench.autoscale.rivals import FAST_HPA, rivals
from bench.autoscale.traces import Trace, named, random

AUTOSCALE = "autoscale"
OURS = Ours.name
MEASURES = ("backlog", "idle", "actions")
LEAST_BACKLOG = 0.01  # CPU seconds: below that, nobody waited

Scores = dict[str, Score]


def autoscale(seed: int, count: int) -> dict[str, Any]:
    """All laws on `count` random traces and on the named ones, which count for nothing but to be looked at."""
    drawn, shown = random(seed, count), named(seed)
    with ProcessPoolExecutor() as processes:
        results = dict(zip((t.name for t in [*drawn, *shown]), processes.map(scores, [*drawn, *shown]), strict=True))
    return {
        "seed": seed,
        "traces": count,
        **summary({trace.name: results[trace.name] for trace in drawn}),
        "named": {trace.name: {law: _mean([of]) for law, of in results[trace.name].items()} for trace in shown},
    }


def scores(trace: Trace) -> Scores:
    return {law.name: run(trace, law) for law in (Ours(), *rivals())}


def dominance(mine: Score, other: Score) -> float | None:
    """None, unless `other` is as good in all measures and better in one. Then by how much: the share by which `mine`
    would have to be better in that measure where it lacks least (the epsilon of multiplicative epsilon-dominance).
    """
    pairs = [(getattr(mine, name), getattr(other, name)) for name in MEASURES]
    if any(ours < theirs for ours, theirs in pairs) or all(ours == theirs for ours, theirs in pairs):
        return None
    return min(1.0 if not theirs and ours else ours / theirs - 1 if ours else 0.0 for ours, theirs in pairs)


def summary(results: dict[str, Scores]) -> dict[str, Any]:
    """`pareto_share`: of the traces, where nobody dominates ours. `worst_dominated`: the most by which anybody did.
    `backlog_ratio`: median of ours to fast HPA's.
    """
    dominated: dict[str, tuple[float, str]] = {}
    for trace, of in results.items():
        by = [(much, name) for name, score in of.items() if (much := dominance(of[OURS], score)) is not None]
        if by:
            dominated[trace] = max(by)
    ratios = [
        max(LEAST_BACKLOG, of[OURS].backlog) / max(LEAST_BACKLOG, of[FAST_HPA].backlog) for of in results.values()
    ]
    return {
        "pareto_share": 1 - len(dominated) / len(results),
        "worst_dominated": max((much for much, _ in dominated.values()), default=0.0),
        "backlog_ratio": median(ratios),
        "dominated": {trace: {"by": name, "much": round(much, 4)} for trace, (much, name) in dominated.items()},
        "means": {name: _mean([of[name] for of in results.values()]) for name in next(iter(results.values()))},
        "pareto_shares": {name: _pareto_share(results, name) for name in next(iter(results.values()))},
    }


def _pareto_share(results: dict[str, Scores], name: str) -> float:
    on_front = [
        all(dominance(of[name], other) is None for rival, other in of.items() if rival != name)
        for of in results.values()
    ]
    return sum(on_front) / len(on_front)


def _mean(of: list[Score]) -> dict[str, float]:
    return {name: round(mean(getattr(score, name) for score in of), 3) for name in (*MEASURES, "reversals", "peak")}
