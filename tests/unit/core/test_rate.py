"""The law of rates: never more than burst and rate allow, turns in order, and a pause gives everything back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.rate import SLACK, Rate, admit

RATES = st.builds(Rate, st.sampled_from([0.5, 1.0, 10.0, 1000.0]), st.integers(1, 20), st.integers(0, 20))
GAPS = st.lists(st.floats(0, 3), min_size=1, max_size=80)


def served(rate: Rate, arrivals: list[float]) -> tuple[list[float], list[bool]]:
    """(the instants of the turns, whether each arrival had one)"""
    full_at, turns, admitted = 0.0, [], []
    for now in arrivals:
        full_at, wait = admit(full_at, rate, now)
        admitted.append(wait is not None)
        if wait is not None:
            turns.append(now + wait)
    return turns, admitted


def instants(gaps: list[float]) -> list[float]:
    now, found = 100.0, []
    for gap in gaps:
        now += gap
        found.append(now)
    return found


@given(RATES, GAPS)
def test_no_stretch_of_time_has_more_turns_than_rate_and_burst_allow(rate: Rate, gaps: list[float]) -> None:
    turns, _ = served(rate, instants(gaps))
    for i, begin in enumerate(turns):
        for count, end in enumerate(turns[i:], 1):
            assert count <= rate.burst + (end - begin) * rate.per_second + 2 * SLACK


@given(RATES, GAPS)
def test_turns_come_in_the_order_of_the_requests(rate: Rate, gaps: list[float]) -> None:
    turns, _ = served(rate, instants(gaps))
    slack = SLACK / rate.per_second
    assert all(first <= then + slack for first, then in pairwise(turns))


@given(RATES)
def test_burst_is_served_at_once_then_the_queue_waits_then_all_are_refused(rate: Rate) -> None:
    turns, admitted = served(rate, [100.0] * (rate.burst + rate.queue + 5))
    assert admitted == [True] * (rate.burst + rate.queue) + [False] * 5
    assert turns[: rate.burst] == [100.0] * rate.burst
    assert all(turn > 100.0 for turn in turns[rate.burst :])


@given(RATES)
def test_refusals_cost_nothing_and_a_pause_gives_the_burst_back(rate: Rate) -> None:
    flood = [100.0] * 200
    pause = 100.0 + (rate.burst + rate.queue + 1) / rate.per_second
    turns, _ = served(rate, [*flood, *[pause] * rate.burst])
    assert turns[-rate.burst :] == [pause] * rate.burst
