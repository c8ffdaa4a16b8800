"""The restart curve and the flapping rule, as tables."""

import pytest

from circus_cg.core.backoff import counted_exits, exec_delay, is_exhausted, is_flapping, jittered, next_delay
from circus_cg.spec import Backoff, Flapping

POLICY = Backoff(initial=0.5, max=30.0, jitter=0.1)
MIN_UPTIME = 1.0


@pytest.mark.parametrize(
    ("last_delay", "uptime", "delay"),
    [
        (None, 0.2, 0.5),  # a crash at start waits
        (None, 1.0, 0.0),  # the first exit of a good life does not
        (0.0, 2.0, 0.5),  # the second soon after does
        (0.5, 2.0, 1.0),
        (0.5, 0.0, 1.0),
        (16.0, 0.0, 30.0),  # no more than max
        (30.0, 0.0, 30.0),
        (0.5, 9.9, 1.0),
        (0.5, 10.0, 0.0),  # stable: 10 s at least,
        (8.0, 15.9, 16.0),
        (8.0, 16.0, 0.0),  # or twice the delay,
        (30.0, 59.9, 30.0),
        (30.0, 60.0, 0.0),  # and 60 s is always enough
    ],
)
def test_delays_double_until_a_stable_life(last_delay: float | None, uptime: float, delay: float) -> None:
    assert next_delay(POLICY, last_delay, uptime, MIN_UPTIME) == delay


def test_twice_the_delay_is_capped_at_a_minute() -> None:
    assert next_delay(Backoff(max=300.0), 200.0, 60.0, MIN_UPTIME) == 0.0


def test_a_life_shorter_than_min_uptime_is_never_stable() -> None:
    assert next_delay(POLICY, 1.0, 90.0, min_uptime=100.0) == 2.0


@pytest.mark.parametrize("uptime", [0.0, 5.0, 100.0])
def test_an_initial_delay_of_zero_means_always_at_once(uptime: float) -> None:
    assert next_delay(Backoff(initial=0.0), 0.0, uptime, MIN_UPTIME) == 0.0


@pytest.mark.parametrize("initial", [0.1, 1.0, 7.0])
def test_any_other_initial_delay_is_waited_for_after_a_crash(initial: float) -> None:
    assert next_delay(Backoff(initial=initial), None, 0.0, MIN_UPTIME) == initial


def test_crashes_in_a_row_wait_longer_and_longer() -> None:
    delays: list[float] = []
    last: float | None = None
    for _ in range(8):
        last = next_delay(POLICY, last, 0.0, MIN_UPTIME)
        delays.append(last)
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (Backoff(initial=0.5, max=3.0), [0.5, 1.0, 2.0, 3.0, 3.0]),
        (Backoff(initial=0.0, max=30.0), [0.1, 0.2, 0.4, 0.8, 1.6]),
        (Backoff(initial=0.0, max=0.0), [0.1, 0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_a_failing_exec_is_never_a_hot_loop(policy: Backoff, delays: list[float]) -> None:
    last: float | None = None
    for delay in delays:
        last = exec_delay(policy, last)
        assert last == delay


@pytest.mark.parametrize(("draw", "delay"), [(0.0, 10.0), (0.5, 10.5), (0.999, 10.999)])
def test_jitter_only_lengthens(draw: float, delay: float) -> None:
    assert jittered(POLICY, 10.0, draw) == pytest.approx(delay, abs=0.01)


@pytest.mark.parametrize(
    ("attempts", "exits", "now", "counted", "flapping"),
    [
        (3, (1.0, 2.0), 2.0, (1.0, 2.0), False),
        (3, (1.0, 2.0, 3.0), 3.0, (1.0, 2.0, 3.0), True),
        (3, (1.0, 50.0, 61.5), 61.5, (50.0, 61.5), False),  # the first left the window
        (2, (1.0, 61.0), 61.0, (1.0, 61.0), True),  # at its very end it is inside
        (3, (1.0, 2.0, 3.0, 4.0), 4.0, (2.0, 3.0, 4.0), True),  # no more are kept than needed
        (1, (5.0,), 5.0, (5.0,), True),
        (0, (1.0, 2.0, 3.0), 3.0, (), False),  # off
    ],
)
def test_flapping_counts_short_lives_inside_the_window(
    attempts: int, exits: tuple[float, ...], now: float, counted: tuple[float, ...], flapping: bool
) -> None:
    policy = Flapping(attempts=attempts, window=60.0)
    assert counted_exits(policy, exits, now) == counted
    assert is_flapping(policy, counted) == flapping


@pytest.mark.parametrize(("used", "limit", "exhausted"), [(1, 1, False), (2, 1, True), (1, 0, True), (99, -1, False)])
def test_a_limit_may_be_used_up_but_not_exceeded(used: int, limit: int, exhausted: bool) -> None:
    assert is_exhausted(used, limit) == exhausted
