"""Two readings of the counters -> how busy the workers were, number by number."""

from typing import Any

import pytest

from circus_cg.core.load import IDLE, Load, Sample, WorkerSample, between, is_as_good_as_new, leaving
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy

POLICY = ScalePolicy(max=8, warmup=5.0)


def worker(wid: int, cpu: float | None = 0.0, *, ready: float | None = 0.0, **more: Any) -> WorkerSample:
    fields: dict[str, Any] = {"generation": 1, "phase": Phase.READY} | more
    return WorkerSample(wid=wid, ready_at=ready, cpu_seconds=cpu, **fields)


def measured(
    before: list[WorkerSample], after: list[WorkerSample], policy: ScalePolicy = POLICY, **more: dict[str, Any]
) -> Load:
    """Ten seconds; `first` and `then` are more fields of the two samples."""
    first = Sample(at=100.0, workers=tuple(before), **more.get("first", {}))
    then = Sample(at=110.0, workers=tuple(after), **more.get("then", {}))
    return between(policy, first, then)


@pytest.mark.parametrize(
    ("used", "answer"),
    [(0.0, True), (0.99, True), (1.0, False), (-0.01, False)],
)
def test_counters_are_as_good_as_new_while_all_together_used_less_than_matters(used: float, answer: bool) -> None:
    policy = ScalePolicy(max=8, cpus=3.0, sample=5.0)
    assert is_as_good_as_new(policy, None, 0.0, used * IDLE * 3.0 * 5.0) is answer
    assert is_as_good_as_new(policy, None, 8.0, 8.0 + used * IDLE * 3.0 * 5.0 * (1 - 1e-9)) is (used >= 0)


@pytest.mark.parametrize(("quota", "past", "together"), [(0.5, 1.0, 1.0), (None, None, 1.0), (None, 1.0, None)])
def test_without_knowing_better_they_are_not(quota: float | None, past: float | None, together: float | None) -> None:
    assert is_as_good_as_new(POLICY, None, 1.0, 1.0)
    assert not is_as_good_as_new(POLICY, quota, past, together)


def test_a_life_is_compared_with_itself_alone() -> None:
    """Whatever the order, and whoever has its place and its number now."""
    load = measured([worker(1, 50.0), worker(2, 7.0)], [worker(2, 10.0), worker(1, 55.0)])
    assert load.shares == {1: 0.5, 2: 0.3}
    load = measured([worker(1, 50.0)], [worker(1, 55.0, generation=2)])
    assert (load.shares, load.unread) == ({}, 1)
    load = measured([worker(1, 50.0), worker(2, 7.0)], [worker(2, 10.0)])
    assert load.shares == {2: 0.3}
    load = measured([worker(2, 7.0)], [worker(1, 55.0), worker(2, 10.0)])
    assert (load.shares, load.unread) == ({2: 0.3}, 1)


def test_each_worker_that_was_there_all_the_time_counts_as_busy_as_it_was() -> None:
    load = measured([worker(1, 50.0), worker(2, 7.0)], [worker(1, 55.0), worker(2, 10.0)])
    assert (load.at, load.seconds, load.wanted, load.measured) == (110.0, 10.0, 2, 2)
    assert load.shares == pytest.approx({1: 0.5, 2: 0.3})
    assert (load.work, load.useful, load.saturation) == pytest.approx((0.8, 2.0, 0.4))
    assert (load.warming, load.unread, load.lost, load.flapping) == (0, 0, 0, 0)
    assert (load.worker_cpus, load.quota_workers, load.throttled, load.host_idle) == (1.0, None, None, None)
    assert (load.worker_throttled, load.overrun) == (False, False)
    assert load.sample.at == 110.0


def test_slots_without_a_process_are_lost_and_those_in_backoff_flap() -> None:
    gone = [
        worker(wid, None, ready=None, phase=phase)
        for wid, phase in enumerate((Phase.BACKOFF, Phase.BACKOFF, Phase.FAILED, Phase.DONE, Phase.IDLE), 2)
    ]
    load = measured([worker(1, 0.0)], [*gone, worker(1, 5.0)])
    assert (load.wanted, load.measured, load.lost, load.flapping, load.warming) == (6, 1, 5, 2, 0)


def test_who_is_not_past_its_warm_up_tells_nothing_yet() -> None:
    there = [worker(1, ready=None, phase=Phase.STARTING), worker(2, ready=95.1), worker(3, ready=96.0), worker(4, 0.0)]
    load = measured(there, [*there[:3], worker(4, 10.0)])
    assert (load.warming, load.measured) == (3, 1)
    assert measured([worker(1, 0.0, ready=95.0)], [worker(1, 1.0, ready=95.0)]).measured == 1
    assert (load.floor, load.ceiling) == (0.25, 4.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], worker(1, 5.0)),  # not seen before
        ([worker(1, 1.0, generation=2)], worker(1, 5.0)),  # that was another life
        ([worker(1, None)], worker(1, 5.0)),
        ([worker(1, 1.0)], worker(1, None)),
        ([worker(1, 6.0)], worker(1, 5.0)),  # a counter that went back
    ],
)
def test_a_worker_whose_counters_tell_nothing_is_unread(before: list[WorkerSample], after: WorkerSample) -> None:
    load = measured([*before, worker(2, 0.0)], [after, worker(2, 4.0), worker(3, None)])
    assert (load.unread, load.measured, load.shares) == (2, 1, {2: 0.4})
    assert (load.floor, load.ceiling) == pytest.approx((0.4 / 3, 2.4))


def test_an_equal_counter_is_an_idle_worker() -> None:
    load = measured([worker(1, 5.0)], [worker(1, 5.0)])
    assert (load.measured, load.shares, load.saturation) == (1, {1: 0.0}, 0.0)


def test_nobody_is_busier_than_always() -> None:
    assert measured([worker(1, 0.0)], [worker(1, 11.0)]).shares == {1: 1.0}


@pytest.mark.parametrize(("said", "share"), [(-1.0, 0.0), (0.4, 0.4), (7.0, 1.0)])
def test_its_own_word_goes_before_its_cpu(said: float, share: float) -> None:
    assert measured([], [worker(1, 9.0, busy=said)]).shares == {1: share}


@pytest.mark.parametrize(
    ("cpus", "quota", "can_use"), [(1.0, None, 1.0), (4.0, None, 4.0), (4.0, 2.0, 2.0), (1.0, 2.0, 1.0)]
)
def test_a_worker_can_use_its_threads_within_its_quota(cpus: float, quota: float | None, can_use: float) -> None:
    policy = ScalePolicy(max=8, cpus=cpus)
    load = measured([worker(1, 0.0)], [worker(1, 5.0)], policy, then={"worker_cpu_max": quota})
    assert load.worker_cpus == can_use
    assert load.shares == {1: 0.5 / can_use}


def test_a_quota_on_the_sum_bounds_how_many_are_busy_at_once() -> None:
    load = measured([worker(1), worker(2)], [worker(1, 4.0), worker(2, 5.0)], then={"watcher_cpu_max": 1.5})
    assert (load.quota_workers, load.useful, load.saturation) == pytest.approx((1.5, 1.5, 0.6))
    load = measured([worker(1)], [worker(1, 4.0)], then={"watcher_cpu_max": 1.5})
    assert (load.useful, load.saturation) == (1.0, 0.4)
    load = measured([worker(1)], [worker(1, 4.0, busy=0.5)], then={"watcher_cpu_max": 0.5})
    assert (load.useful, load.saturation) == (1.0, 0.5)  # its own word knows of no quota
    load = measured([worker(1)], [worker(1, 9.0)], ScalePolicy(max=8, cpus=4.0), then={"watcher_cpu_max": 2.0})
    assert (load.quota_workers, load.useful) == (0.5, 0.5)


def test_saturation_is_never_more_than_all() -> None:
    load = measured([worker(1), worker(2)], [worker(1, 9.0), worker(2, 9.0)], then={"watcher_cpu_max": 1.0})
    assert load.saturation == 1.0
    assert load.is_saturated


@pytest.mark.parametrize(("used", "saturated"), [(9.6, False), (9.7, True), (10.0, True)])
def test_it_is_saturated_from_97_percent_on(used: float, saturated: bool) -> None:
    assert measured([worker(1)], [worker(1, used)]).is_saturated is saturated


def test_without_a_measured_worker_there_is_no_saturation() -> None:
    load = measured([], [worker(1, ready=None, phase=Phase.STARTING)])
    assert (load.saturation, load.is_saturated, load.floor, load.ceiling) == (None, False, 0.0, 1.0)


@pytest.mark.parametrize(
    ("first", "then", "share"),
    [
        ({"nr_periods": 10, "nr_throttled": 2}, {"nr_periods": 110, "nr_throttled": 27}, 0.25),
        ({"nr_periods": 10, "nr_throttled": 2}, {"nr_periods": 11, "nr_throttled": 3}, 1.0),
        ({"nr_periods": 10, "nr_throttled": 2}, {"nr_periods": 10, "nr_throttled": 2}, None),
        ({}, {"nr_periods": 10, "nr_throttled": 2}, None),
        ({"nr_periods": 10, "nr_throttled": 2}, {}, None),
        ({"nr_periods": 10}, {"nr_periods": 20}, 0.0),
    ],
)
def test_how_often_the_quota_stopped_them(first: dict[str, Any], then: dict[str, Any], share: float | None) -> None:
    assert measured([worker(1)], [worker(1)], first=first, then=then).throttled == share


@pytest.mark.parametrize(
    ("before", "after", "throttled"), [(3, 4, True), (3, 3, False), (None, 4, False), (3, None, False)]
)
def test_one_worker_in_its_own_quota_is_enough_to_say_so(
    before: int | None, after: int | None, throttled: bool
) -> None:
    first = [worker(1, nr_throttled=before), worker(2, nr_throttled=7)]
    then = [worker(1, 5.0, nr_throttled=after), worker(2, 5.0, nr_throttled=7)]
    assert measured(first, then).worker_throttled is throttled
    assert measured(first[::-1], then[::-1]).worker_throttled is throttled


def test_a_newcomers_own_word_says_nothing_of_its_quota() -> None:
    assert measured([], [worker(1, busy=0.5, nr_throttled=4)]).worker_throttled is False


@pytest.mark.parametrize(
    ("before", "after", "idle"), [(50.0, 65.0, 1.5), (50.0, 49.0, 0.0), (None, 5.0, None), (5.0, None, None)]
)
def test_the_hosts_idle_cpus(before: float | None, after: float | None, idle: float | None) -> None:
    load = measured([], [], first={"host_idle_seconds": before}, then={"host_idle_seconds": after})
    assert load.host_idle == idle


@pytest.mark.parametrize(
    ("backlog", "workers", "overrun"), [(19, 2, False), (20, 2, True), (None, 2, False), (9, 0, False), (10, 0, True)]
)
def test_so_many_waiting_requests_a_worker_are_too_many(backlog: int | None, workers: int, overrun: bool) -> None:
    policy = ScalePolicy(max=8, backlog=10)
    before, after = ([worker(wid, cpu) for wid in range(1, workers + 1)] for cpu in (0.0, 1.0))
    load = measured(before, after, policy, then={"backlog": backlog})
    assert load.overrun is overrun
    if overrun and workers:
        assert (load.work, load.useful, load.saturation) == (2.0, 2.0, 1.0)
    assert not measured(before, after, then={"backlog": 1000}).overrun


def test_what_nobody_told_is_no_backlog() -> None:
    assert not measured([worker(1)], [worker(1, 1.0)], ScalePolicy(max=8, backlog=1)).overrun
    assert not measured([], [], ScalePolicy(max=8, backlog=1)).overrun


def test_one_fully_busy_worker_is_overrun_by_its_own_word() -> None:
    assert measured([], [worker(1, busy=1.0)]).overrun
    assert not measured([], []).overrun


@pytest.mark.parametrize(("busy", "overrun"), [((1.0, 1.0), True), ((1.0, 0.9), False), ((1.0, None), False)])
def test_all_of_them_fully_busy_by_their_own_word_are_overrun(
    busy: tuple[float | None, float | None], overrun: bool
) -> None:
    before = [worker(1), worker(2)]
    after = [worker(wid, 10.0, busy=said) for wid, said in enumerate(busy, 1)]
    assert measured(before, after).overrun is overrun


def test_who_leaves_first() -> None:
    before = [worker(wid) for wid in range(1, 8)]
    after = [
        worker(1, 1.0, ready=0.0),
        worker(2, 9.0, ready=5.0),
        worker(3, 1.0, ready=50.0),
        worker(4, 1.0, ready=50.0),
        worker(5, None, ready=None, phase=Phase.STARTING),
        worker(6, 0.0, ready=1.0, phase=Phase.STOPPING),
        worker(7, None, ready=1.0),  # not known to be idle
    ]
    load = measured(before, after)
    assert leaving(load, 7) == (6, 5, 4, 3, 1, 2, 7)
    assert leaving(load, 2) == (6, 5)


def test_who_is_not_ready_leaves_before_who_has_nothing_to_do() -> None:
    starting = worker(1, None, ready=None, phase=Phase.STARTING)
    load = measured([worker(2)], [starting, worker(2, 0.0, ready=5.0)])
    assert (load.shares, leaving(load, 2)) == ({2: 0.0}, (1, 2))


def test_of_whom_nothing_is_known_counts_as_busy_as_the_busiest() -> None:
    load = measured([worker(1), worker(2)], [worker(1, 10.0), worker(2, None, ready=50.0), worker(3, None, ready=60.0)])
    assert leaving(load, 3) == (3, 2, 1)
