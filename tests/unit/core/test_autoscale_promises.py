"""Whatever the load, the host and the workers do: what the autoscaling law never does. hypothesis plays them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from circus_cg.core.autoscale import State, Verdict, decide, pin
from circus_cg.core.load import Sample, WorkerSample
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy
from tests.unit.core.plant import POLICY, Watcher

SHARES = st.floats(0.0, 1.0)
MAYBE_PERCENT = st.none() | st.floats(0.0, 100.0)
MAYBE_BYTES = st.none() | st.integers(0, 10_000)
TOLD: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "worker_cpu_max": st.floats(0.1, 4.0),
        "watcher_cpu_max": st.floats(0.1, 4.0),
        "cpu_some": MAYBE_PERCENT,
        "memory_some": MAYBE_PERCENT,
        "memory_full": MAYBE_PERCENT,
        "memory_current": MAYBE_BYTES,
        "memory_limit": MAYBE_BYTES,
        "pids_current": MAYBE_BYTES,
        "pids_max": MAYBE_BYTES,
        "host_memory": MAYBE_BYTES,
        "host_idle_seconds": st.none() | st.floats(0.0, 100.0),
        "last_oom": st.none() | st.floats(0.0, 2000.0),
        "backlog": st.none() | st.integers(0, 1000),
    },
)


@st.composite
def policies(draw: st.DrawFn) -> ScalePolicy:
    least = draw(st.integers(1, 5))
    return ScalePolicy(
        min=least,
        max=draw(st.integers(least, 7)),
        grow_window=draw(st.sampled_from((0.0, 2.0, 4.0, 10.0))),
        shrink_window=draw(st.sampled_from((0.0, 4.0, 60.0))),
        grow_step=draw(st.sampled_from((0.1, 1.0, 5.0))),
        shrink_step=draw(st.sampled_from((0.1, 0.5, 1.0))),
        backlog=draw(st.none() | st.integers(1, 20)),
        dry_run=draw(st.booleans()),
    )


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Readings of a watcher whose workers come, go, crash and lie."""
    at, found = 1000.0, []
    used: dict[int, float] = {}
    for _ in range(draw(st.integers(1, 10))):
        gap = draw(st.sampled_from((0.1, 2.0, 2.0, 2.0, 3.0, 20.0)))
        at += gap
        workers = []
        for wid in range(1, draw(st.integers(0, 8)) + 1):
            phase = draw(st.sampled_from((Phase.READY, Phase.READY, Phase.READY, *Phase)))
            used[wid] = used.get(wid, 0.0) + gap * draw(SHARES)
            cpu = draw(st.sampled_from((used[wid], used[wid], used[wid], None, 0.0)))
            ready_at = draw(st.sampled_from((0.0, 0.0, at - 3.0, None))) if phase is Phase.READY else None
            workers.append(
                WorkerSample(wid, draw(st.integers(1, 2)), phase, ready_at, cpu, None, draw(st.none() | SHARES))
            )
        found.append(Sample(at=at, workers=tuple(workers), **draw(TOLD)))
    return found


@settings(max_examples=60)
@given(policies(), samples(), st.booleans())
def test_the_law_stays_within_its_bounds_and_its_steps_and_names_who_leaves(
    policy: ScalePolicy, readings: list[Sample], restarted: bool
) -> None:
    state = State()
    for sample in readings:
        if restarted:
            state = msgspec.json.decode(msgspec.json.encode(state), type=State)
        state, decision = decide(policy, state, (sample,), sample.at)
        there = len(sample.workers)
        assert decision.wanted is not None and decision.proposed is not None
        if decision.verdict is Verdict.HOLD:
            assert decision.proposed == decision.wanted == there
            assert decision.veto is not None, "holding has a name"
            continue
        assert policy.min <= decision.proposed <= policy.max
        assert (decision.proposed > there) == (decision.verdict is Verdict.GROW)
        if policy.dry_run:
            assert (decision.wanted, decision.leaving) == (there, ())
            continue
        assert decision.wanted == decision.proposed
        assert len(set(decision.leaving)) == max(0, there - decision.wanted)
        assert set(decision.leaving) <= {worker.wid for worker in sample.workers}
        if policy.min <= there <= policy.max and decision.verdict is Verdict.GROW:
            assert decision.wanted - there <= max(1, policy.grow_step * there)
        if policy.min <= there <= policy.max and decision.verdict is Verdict.SHRINK:
            assert there - decision.wanted <= max(1, policy.shrink_step * there)


@settings(max_examples=60)
@given(policies(), samples())
def test_nothing_is_decided_on_a_first_a_late_or_no_sample(policy: ScalePolicy, readings: list[Sample]) -> None:
    state, before = State(), None
    for sample in readings:
        gap = None if before is None else sample.at - before
        state, decision = decide(policy, state, (sample,), sample.at)
        if gap is None or gap > 3 * policy.sample:
            assert decision.verdict is Verdict.HOLD
        before = sample.at if gap is None or gap >= 0.5 else before
        same, silent = decide(policy, state, (), sample.at + 1.0)
        assert same == state
        assert silent.verdict is Verdict.HOLD


@settings(max_examples=60)
@given(samples(), st.floats(10.0, 1000.0))
def test_a_pinned_count_is_never_touched(readings: list[Sample], hold: float) -> None:
    policy = ScalePolicy(min=3, max=6, hold=hold, shrink_window=0.0, grow_window=0.0)
    state = pin(policy, State(), readings[0].at)
    for sample in readings:
        state, decision = decide(policy, state, (sample,), sample.at)
        if sample.at < readings[0].at + hold:
            assert decision.verdict is Verdict.HOLD


VETOES: list[dict[str, Any]] = [
    {"watcher_cpu_max": 1.0},
    {"cpu_some": 90.0},
    {"memory_some": 90.0},
    {"memory_current": 10, "memory_limit": 11},
    {"memory_current": 10, "host_memory": 0},
    {"pids_current": 5, "pids_max": 5},
    {"last_oom": 1e9},
    {"host_idle_seconds": 0.0},
]


@settings(max_examples=25)
@given(st.sampled_from(VETOES), st.integers(1, 6), st.floats(0.0, 10.0), st.lists(SHARES, min_size=30, max_size=30))
def test_a_veto_stops_growth_and_never_shrinking(
    told: dict[str, Any], size: int, scale: float, loads: list[float]
) -> None:
    vetoed = Watcher(ScalePolicy(max=8, shrink_window=20.0), told=told)
    vetoed.resize(size)
    for load in loads:
        vetoed.load = scale * load
        before = vetoed.size
        vetoed.look()
        assert vetoed.size <= before
    vetoed.load = 0.0
    vetoed.live(400)
    assert vetoed.size == 1


@settings(max_examples=25)
@given(st.floats(0.0, 12.0), st.integers(1, 8), st.floats(0.0, 0.05))
def test_a_constant_load_comes_to_rest_after_at_most_one_reversal(load: float, size: int, ripple: float) -> None:
    watcher = Watcher()
    watcher.resize(size)
    for number in range(500):
        watcher.load = load * (1 + ripple * (-1) ** number)
        watcher.look()
    verdicts = [decision.verdict for decision in watcher.decisions]
    changes = [verdict for verdict in verdicts if verdict is not Verdict.HOLD]
    assert sum(one is not other for one, other in pairwise(changes)) <= 1
    assert all(verdict is Verdict.HOLD for verdict in verdicts[300:]), "it is at rest"


@settings(max_examples=25)
@given(st.floats(0.0, 5.0))
def test_at_rest_there_are_enough_workers_and_not_twice_too_many(load: float) -> None:
    watcher = Watcher(load=load)
    watcher.live(1200)
    assert watcher.size == POLICY.max or load / watcher.size < POLICY.grow_at
    assert watcher.size <= 2 or load / (watcher.size - 1) > POLICY.shrink_at * 0.9


@settings(max_examples=25)
@given(st.lists(st.floats(0.0, 8.0), min_size=5, max_size=30))
def test_no_shrink_leaves_workers_that_would_call_for_growth(loads: list[float]) -> None:
    watcher = Watcher()
    for load in loads:
        watcher.load = load
        for decision in watcher.live(80):
            if decision.verdict is Verdict.SHRINK:
                assert load / watcher.size < POLICY.grow_at
