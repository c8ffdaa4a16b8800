"""The autoscaling law at its edges: one decision from one state and one interval, with every number given."""

from typing import Any

import pytest
from msgspec.structs import replace

from circus_cg.core.autoscale import Busy, Decision, State, Verdict, Work, decide, first_count, lasting, pin, unpin
from circus_cg.core.load import Sample, WorkerSample
from circus_cg.core.room import Veto
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy, WatcherSpec

POLICY = ScalePolicy(max=8)
NOW = 1000.0
LONG_AGO = State(watched=0.0)


def sample(at: float, cpu: float, workers: int, **told: Any) -> Sample:
    those = (WorkerSample(wid, 1, Phase.READY, 0.0, cpu) for wid in range(1, workers + 1))
    return Sample(at=at, workers=tuple(those), **told)


def decided(
    busy: float,
    workers: int = 2,
    *,
    policy: ScalePolicy = POLICY,
    state: State = LONG_AGO,
    times: tuple[float, float] = (2.0, 0.0),
    **told: Any,
) -> tuple[State, Decision]:
    """`workers` that were so busy; `times`: for so many seconds, and so many before the decision."""
    seconds, late = times
    before = sample(NOW - seconds, 0.0, workers)
    now = sample(NOW, busy * seconds, workers, **told)
    return decide(policy, replace(state, last=before), (now,), NOW + late)


def saturated(since: float, wanted: int = 3) -> Busy:
    return Busy(since, wanted, True)


# -- samples


def test_the_first_sample_says_nothing_but_how_many_there_are() -> None:
    state, decision = decide(POLICY, State(), (sample(NOW, 0.0, 3),), NOW)
    assert decision == Decision(
        3, Verdict.HOLD, "there is no sample, or only the first one", Veto.NO_SAMPLE, 3, dry_run=False
    )
    assert (state.last, state.watched) == (sample(NOW, 0.0, 3), NOW)
    assert decide(POLICY, State(), (), NOW)[1].wanted is None


@pytest.mark.parametrize(("seconds", "veto"), [(0.49, Veto.TOO_SOON), (0.5, Veto.DEAD_BAND)])
def test_an_interval_shorter_than_a_quarter_of_a_sample_is_not_looked_at(seconds: float, veto: Veto) -> None:
    state, decision = decided(0.8, times=(seconds, 0.0))
    assert decision.veto is veto
    if veto is Veto.TOO_SOON:
        assert (decision.reason, decision.wanted) == ("the last sample is too short ago", 2)
        assert state.last is not None and state.last.at == NOW - seconds


def test_of_samples_that_come_together_one_that_is_too_short_ago_takes_nothing_back() -> None:
    first, second = sample(NOW, 1.6, 2), sample(NOW + 0.1, 1.7, 2)
    _, decision = decide(POLICY, replace(LONG_AGO, last=sample(NOW - 2, 0.0, 2)), (first, second), NOW + 0.1)
    assert (decision.veto, decision.load is not None and decision.load.at) == (Veto.DEAD_BAND, NOW)


@pytest.mark.parametrize(("seconds", "veto"), [(6.0, Veto.DEAD_BAND), (6.1, Veto.STALLED)])
def test_a_gap_of_more_than_three_samples_is_nothing_to_conclude_from(seconds: float, veto: Veto) -> None:
    full = State(busy=(saturated(1.0),), recent=(Work(1.0, 2.0),), memory_stalled=1.0, peaks=(Work(1.0, 2.0),))
    state, decision = decided(0.8, times=(seconds, 0.0), state=full)
    assert decision.veto is veto
    if veto is Veto.STALLED:
        assert decision.reason == "the last sample is too long ago"
        assert (state.busy, state.recent, state.memory_stalled, state.watched) == ((), (), None, NOW)
        assert state.peaks == full.peaks


@pytest.mark.parametrize(("late", "veto"), [(6.0, Veto.DEAD_BAND), (6.1, Veto.STALLED)])
def test_a_sample_that_is_long_ago_itself_is_no_ground_for_a_decision(late: float, veto: Veto) -> None:
    assert decided(0.8, times=(2.0, late))[1].veto is veto


# -- bounds and the operator's number


@pytest.mark.parametrize(("workers", "wanted"), [(1, 2), (2, 2), (4, 4), (5, 4)])
def test_the_bounds_hold_at_once(workers: int, wanted: int) -> None:
    policy = ScalePolicy(min=2, max=4)
    _, decision = decided(0.8, workers, policy=policy)
    assert decision.wanted == wanted
    if workers == 1:
        assert decision.reason == "1 are fewer than min 2"
    if workers == 5:
        assert (decision.reason, decision.leaving) == ("5 are more than max 4", (5,))


def test_the_operators_number_stays_for_its_time_to_the_end() -> None:
    state = pin(POLICY, replace(LONG_AGO, shrunk=5.0, busy=(saturated(1.0),)), NOW - 299.0)
    assert (state.pinned_until, state.changed, state.shrunk, state.busy) == (NOW + 1.0, NOW - 299.0, None, ())
    _, decision = decided(0.1, 9, state=state)
    assert (decision.verdict, decision.veto, decision.wanted) == (Verdict.HOLD, Veto.PINNED, 9)
    assert decision.reason == "the operator's number stays for 1 s more"
    assert decided(0.1, 9, state=state, times=(2.0, 1.0))[1].verdict is Verdict.SHRINK
    assert unpin(state) == replace(state, pinned_until=None)


@pytest.mark.parametrize(("numprocesses", "first"), [(1, 2), (3, 3), (9, 4)])
def test_a_watcher_begins_within_its_bounds(numprocesses: int, first: int) -> None:
    spec = WatcherSpec(name="w", cmd=("true",), numprocesses=numprocesses, autoscale=ScalePolicy(min=2, max=4))
    assert first_count(spec) == first
    assert first_count(replace(spec, autoscale=None)) == numprocesses


def test_what_outlives_the_arbiter_is_all_but_the_last_intervals() -> None:
    state = State(sample(1, 0, 1), (saturated(1.0),), (Work(1.0, 1.0),), (Work(1.0, 2.0),), 3.0, 4.0, 5.0, 6.0, 2, True)
    assert lasting(state) == replace(state, last=None, busy=(), recent=())


# -- growth


@pytest.mark.parametrize(("busy", "calls"), [(0.89, False), (0.9, True)])
def test_workers_call_for_more_from_grow_at_on(busy: float, calls: bool) -> None:
    state, _ = decided(busy, policy=ScalePolicy(max=8, grow_at=0.9))
    assert bool(state.busy) is calls


def test_so_many_are_called_for_as_would_be_busy_as_targeted() -> None:
    state, _ = decided(0.92, 4)
    assert state.busy == (Busy(NOW - 2, 6, False),)  # 4 * 0.92 / 0.7
    state, _ = decided(1.0, 4)
    assert state.busy == (Busy(NOW - 2, 6, True),)
    state, _ = decided(1.0, 4, state=replace(LONG_AGO, too_few=True))
    assert state.busy == (Busy(NOW - 2, 8, True),)
    state, _ = decided(0.92, 4, state=replace(LONG_AGO, too_few=True))
    assert state.busy == (Busy(NOW - 2, 6, False),)


@pytest.mark.parametrize(
    ("runs", "verdict", "reason"),
    [
        ((), Verdict.HOLD, "2 ready workers are 100 % busy, for 2 of 4 s"),
        ((saturated(NOW - 3.4),), Verdict.HOLD, "2 ready workers are 100 % busy, for 3 of 4 s"),
        ((saturated(NOW - 3.5),), Verdict.GROW, "2 ready workers are 100 % busy"),
    ],
)
def test_saturated_workers_wait_for_one_grow_window(runs: tuple[Busy, ...], verdict: Verdict, reason: str) -> None:
    state, decision = decided(1.0, state=replace(LONG_AGO, busy=runs, shrunk=NOW - 1e6))
    assert (decision.verdict, decision.reason) == (verdict, reason)
    if verdict is Verdict.GROW:
        assert (decision.wanted, decision.proposed, decision.leaving) == (3, 3, ())
        assert (state.changed, state.busy, state.too_few, state.shrunk) == (NOW, (), True, None)
    else:
        assert decision.veto is Veto.GROW_WINDOW


@pytest.mark.parametrize(("since", "verdict"), [(NOW - 7.4, Verdict.HOLD), (NOW - 7.5, Verdict.GROW)])
def test_workers_that_are_busy_and_not_saturated_wait_for_two(since: float, verdict: Verdict) -> None:
    runs = (Busy(since, 3, False), Busy(NOW - 4, 3, False))
    assert decided(0.92, state=replace(LONG_AGO, busy=runs))[1].verdict is verdict


def test_one_long_interval_is_no_window() -> None:
    assert decided(1.0, times=(5.0, 0.0))[1].veto is Veto.GROW_WINDOW


@pytest.mark.parametrize(
    ("workers", "called", "policy", "wanted"),
    [
        (2, 3, POLICY, 3),
        (2, 4, POLICY, 3),  # the least that any interval called for: this one calls for 3
        (6, 20, POLICY, 8),  # max
        (4, 8, ScalePolicy(max=20, grow_step=0.5), 6),
        (4, 8, ScalePolicy(max=20, grow_step=0.1), 5),  # one at least
        (3, 8, ScalePolicy(max=20, grow_step=0.5), 4),
    ],
)
def test_growth_goes_by_steps_within_the_bounds(workers: int, called: int, policy: ScalePolicy, wanted: int) -> None:
    runs = (saturated(NOW - 6, called), saturated(NOW - 4, called))
    _, decision = decided(1.0, workers, policy=policy, state=replace(LONG_AGO, busy=runs))
    assert (decision.verdict, decision.wanted) == (Verdict.GROW, wanted)


def test_at_max_that_is_said() -> None:
    _, decision = decided(1.0, 8)
    assert (decision.verdict, decision.veto) == (Verdict.HOLD, Veto.AT_MAX)
    assert decision.reason == "8 ready workers are 100 % busy; max is 8"


def test_growth_goes_as_far_as_there_is_room_and_says_what_kept_it() -> None:
    state = replace(LONG_AGO, busy=(saturated(NOW - 6, 8), saturated(NOW - 4, 8)))
    policy = ScalePolicy(max=20)
    _, decision = decided(1.0, 4, policy=policy, state=state, memory_current=400, host_memory=500)
    assert (decision.wanted, decision.veto, decision.reason) == (6, None, "4 ready workers are 100 % busy")
    _, decision = decided(1.0, 4, policy=policy, state=state, memory_current=400, host_memory=150)
    assert (decision.wanted, decision.veto) == (5, Veto.MEMORY)
    assert decision.reason == "4 ready workers are 100 % busy; not 6, because so many would not fit into memory"
    _, decision = decided(1.0, 4, policy=policy, state=state, memory_current=400, host_memory=50)
    assert (decision.verdict, decision.wanted, decision.veto) == (Verdict.HOLD, 4, Veto.MEMORY)
    assert decision.reason == "4 ready workers are 100 % busy, but so many would not fit into memory"


def test_too_many_waiting_requests_call_for_one_at_once() -> None:
    _, decision = decided(0.2, policy=ScalePolicy(max=8, backlog=5), backlog=10)
    assert (decision.verdict, decision.wanted) == (Verdict.GROW, 3)
    assert decision.reason == "2 ready workers are 100 % busy by the application's own word"


def test_intervals_that_are_too_long_ago_count_for_no_window() -> None:
    state, _ = decided(1.0, state=replace(LONG_AGO, busy=(saturated(NOW - 10.0), saturated(NOW - 9.9))))
    assert [one.since for one in state.busy] == [NOW - 9.9, NOW - 2]


def test_who_is_less_than_busy_begins_the_window_anew_and_is_not_too_few() -> None:
    state, _ = decided(0.8, state=replace(LONG_AGO, busy=(saturated(NOW - 4),), too_few=True))
    assert (state.busy, state.too_few) == ((), False)
    state, _ = decided(1.0, state=replace(LONG_AGO, too_few=True))
    assert state.too_few


# -- shrinking


def test_bored_workers_become_fewer_by_steps() -> None:
    state, decision = decided(0.1, 6)
    assert (decision.verdict, decision.wanted, decision.leaving) == (Verdict.SHRINK, 3, (6, 5, 4))
    assert decision.reason == "6 ready workers are 10 % busy, for 60 s"
    assert decision.peak == pytest.approx(0.6)
    assert decision.shrink_window == 60.0
    assert (state.shrunk, state.changed, state.too_few) == (NOW, NOW, False)
    assert decided(0.1, 3)[1].wanted == 2
    assert decided(0.1, 6, policy=ScalePolicy(max=8, shrink_step=0.1))[1].wanted == 5
    assert decided(0.1, 6, policy=ScalePolicy(max=8, min=4))[1].wanted == 4
    assert decided(0.3, 6, policy=ScalePolicy(max=8, shrink_step=1.0))[1].wanted == 3  # 1.8 / 0.7


@pytest.mark.parametrize(("busy", "veto"), [(0.5, Veto.DEAD_BAND), (0.49, None)])
def test_workers_are_bored_below_shrink_at(busy: float, veto: Veto | None) -> None:
    _, decision = decided(busy, 6)
    assert decision.veto is veto
    if veto:
        assert decision.reason == "6 ready workers are 50 % busy"


def test_the_busiest_of_the_window_counts() -> None:
    peaks = (Work(NOW - 59.9, 4.5), Work(NOW - 10, 1.0))
    state, decision = decided(0.1, 6, state=replace(LONG_AGO, peaks=peaks))
    assert (decision.veto, decision.peak) == (Veto.SHRINK_WINDOW, 4.5)
    assert decision.reason == "6 ready workers are 10 % busy, but 75 % within 60 s"
    assert [(one.at, round(one.work, 9)) for one in state.peaks] == [(NOW - 59.9, 4.5), (NOW - 10, 1.0), (NOW, 0.6)]
    state, _ = decided(0.1, 6, state=replace(LONG_AGO, peaks=(Work(NOW - 60.0, 3.0), Work(NOW - 10, 0.6))))
    assert NOW - 60.0 not in [one.at for one in state.peaks]
    _, decision = decided(0.1, 6, state=replace(LONG_AGO, penalty=2, flapped=NOW - 90, peaks=(Work(NOW - 100, 3.0),)))
    assert decision.reason == "6 ready workers are 10 % busy, but 50 % within 120 s"


def test_what_lasts_no_grow_window_is_no_peak() -> None:
    state, _ = decided(0.5, 6, state=replace(LONG_AGO, recent=(Work(NOW - 4.0, 0.1), Work(NOW - 3.9, 0.6))))
    assert state.recent == (Work(NOW - 3.9, 0.6), Work(NOW, 3.0))
    assert state.peaks == (Work(NOW, 0.6),)


@pytest.mark.parametrize("since", ["watched", "changed"])
def test_nobody_leaves_before_a_window_is_over(since: str) -> None:
    _, decision = decided(0.1, 6, state=replace(LONG_AGO, **{since: NOW - 58.0}))
    assert (decision.veto, decision.reason) == (Veto.SHRINK_WINDOW, "6 ready workers are 10 % busy; 2 s more of it")
    assert decided(0.1, 6, state=replace(LONG_AGO, **{since: NOW - 59.5}))[1].veto is Veto.SHRINK_WINDOW
    assert decided(0.1, 6, state=replace(LONG_AGO, **{since: NOW - 60.0}))[1].verdict is Verdict.SHRINK


def test_fewer_that_would_be_too_busy_stay() -> None:
    _, decision = decided(0.45, 3)
    assert (decision.verdict, decision.wanted) == (Verdict.SHRINK, 2)
    _, decision = decided(0.48, 2)
    assert (decision.veto, decision.reason) == (
        Veto.DEAD_BAND,
        "2 ready workers are 48 % busy; fewer would be too busy",
    )
    _, decision = decided(0.35, 2)
    assert decision.wanted == 1, "0.7 is no more than the target"
    _, decision = decided(0.1, 1)
    assert (decision.veto, decision.reason) == (Veto.AT_MIN, "1 ready workers are 10 % busy")


def test_those_that_the_quota_holds_back_are_not_bored() -> None:
    _, decision = decided(0.2, 6, watcher_cpu_max=2.0)
    assert decision.veto is Veto.DEAD_BAND
    _, decision = decided(0.2, 6, watcher_cpu_max=3.0)
    assert decision.verdict is Verdict.SHRINK


# -- memory, penalties, dry runs


@pytest.mark.parametrize(
    ("since", "full", "wanted"), [(NOW - 10, 20.1, 3), (NOW - 9.9, 20.1, 4), (NOW - 10, 20.0, 4), (None, 90.0, 4)]
)
def test_workers_that_wait_for_memory_so_long_become_one_fewer(since: float | None, full: float, wanted: int) -> None:
    state, decision = decided(0.8, 4, state=replace(LONG_AGO, memory_stalled=since, shrunk=7.0), memory_full=full)
    assert decision.wanted == wanted
    if wanted == 3:
        assert decision.reason == "the workers wait for memory 20 % of the time"
        assert (state.memory_stalled, state.shrunk) == (None, 7.0)  # not by their load: no mistake of ours
    else:
        assert state.memory_stalled == (since if full > 20 and since else NOW if full > 20 else None)


def test_the_last_ones_stay_even_if_they_wait_for_memory() -> None:
    _, decision = decided(0.8, 1, state=replace(LONG_AGO, memory_stalled=1.0), memory_full=90.0)
    assert decision.verdict is Verdict.HOLD


@pytest.mark.parametrize(
    ("shrunk", "penalty", "after"),
    [(NOW - 299, 1, 2), (NOW - 300, 1, 1), (NOW - 599, 2, 2), (NOW - 10, 2, 2), (None, 1, 1)],
)
def test_growth_soon_after_a_shrink_doubles_the_next_window_once(
    shrunk: float | None, penalty: int, after: int
) -> None:
    state = replace(LONG_AGO, busy=(saturated(NOW - 4),), shrunk=shrunk, penalty=penalty, flapped=NOW - 1)
    state, decision = decided(1.0, state=state)
    assert decision.verdict is Verdict.GROW
    assert (state.penalty, state.flapped) == (after, NOW if shrunk and after > 1 else NOW - 1)


@pytest.mark.parametrize(
    ("flapped", "penalty", "after"),
    [
        (NOW - 1200, 8, (8, NOW - 1200)),
        (NOW - 1201, 8, (4, NOW)),
        (NOW - 1201, 2, (1, None)),
        (NOW - 1201, 3, (1, NOW)),
    ],
)
def test_a_long_time_without_such_a_mistake_halves_it(
    flapped: float, penalty: int, after: tuple[int, float | None]
) -> None:
    state, _ = decided(0.8, state=replace(LONG_AGO, flapped=flapped, penalty=penalty))
    assert (state.penalty, state.flapped) == after


def test_a_dry_run_leaves_everything_as_it_is_but_for_what_was_seen() -> None:
    policy = ScalePolicy(max=8, dry_run=True)
    state, decision = decided(1.0, policy=policy, state=replace(LONG_AGO, busy=(saturated(NOW - 4),), shrunk=NOW - 1))
    assert (decision.verdict, decision.wanted, decision.proposed) == (Verdict.GROW, 2, 3)
    assert (decision.dry_run, decision.leaving) == (True, ())
    assert (state.changed, state.shrunk, state.penalty, len(state.busy)) == (None, NOW - 1, 1, 2)
    _, decision = decided(0.1, 6, policy=policy)
    assert (decision.verdict, decision.wanted, decision.proposed, decision.leaving) == (Verdict.SHRINK, 6, 3, ())
    assert decide(policy, State(), (), NOW)[1].dry_run


def test_of_peaks_that_are_alike_the_newest_counts() -> None:
    state, _ = decided(0.5, state=replace(LONG_AGO, peaks=(Work(NOW - 20, 1.5), Work(NOW - 10, 1.0))))
    assert state.peaks == (Work(NOW - 20, 1.5), Work(NOW, 1.0))


def test_it_is_watched_since_the_sample_before_where_nothing_else_is_known() -> None:
    assert decided(0.8, state=State())[0].watched == NOW - 2
    assert decided(0.8, state=State(watched=7.0))[0].watched == 7.0


def test_one_that_is_not_ready_yet_may_still_show_that_they_are_too_few() -> None:
    new = WorkerSample(9, 1, Phase.STARTING)
    before, now = sample(NOW - 2, 0.0, 2), sample(NOW, 1.0, 2)
    now = replace(now, workers=(*now.workers, new))
    state, _ = decide(POLICY, replace(LONG_AGO, last=before, too_few=True), (now,), NOW)
    assert state.too_few


def test_too_many_waiting_requests_call_for_no_more_than_one_before_the_window_is_over() -> None:
    policy = ScalePolicy(max=20, backlog=5)
    assert decided(0.2, 4, policy=policy, backlog=20)[1].wanted == 5
    runs = (saturated(NOW - 6, 8), saturated(NOW - 4, 8))
    assert decided(0.2, 4, policy=policy, state=replace(LONG_AGO, busy=runs), backlog=20)[1].wanted == 6


def test_who_calls_for_more_gets_one_even_where_the_target_asks_for_none() -> None:
    policy = ScalePolicy(max=8, grow_at=0.5, target=0.9, shrink_at=0.1)
    runs = (Busy(NOW - 8, 2, False), Busy(NOW - 4, 2, False))
    assert decided(0.6, policy=policy, state=replace(LONG_AGO, busy=runs))[1].wanted == 3


def test_room_for_exactly_so_many_is_room_enough() -> None:
    state = replace(LONG_AGO, busy=(saturated(NOW - 6, 8), saturated(NOW - 4, 8)))
    _, decision = decided(1.0, 4, policy=ScalePolicy(max=20), state=state, memory_current=400, host_memory=200)
    assert (decision.wanted, decision.veto) == (6, None)
