"""A host short of memory: who ends first, how fast one follows the other, and who waits."""

from itertools import pairwise

from circus_cg.core.pressure import Candidate, End, HostMemory, State, after_host_oom, may_restart, relieve, seen
from circus_cg.spec import PressurePolicy

POLICY = PressurePolicy(full_at=60.0, lasting=30.0, pause=15.0, calm_at=10.0, calm_after=10.0)
CACHE = Candidate("cache", 0, 500, 0, ((1, 1, 200), (2, 4, 300)))
BATCH = Candidate("batch", 0, 800, 400, ((1, 1, 800),))
SHOP = Candidate("shop", 10, 900, 0, ((1, 1, 900),))


def pressed(
    seconds: float, state: State | None = None, full: float = 80.0, scans: bool = True,
    candidates: tuple[Candidate, ...] = (SHOP, BATCH, CACHE),
) -> tuple[State, list[tuple[float, End]]]:  # fmt: skip
    """Pressure as it is, looked at every second: who was ended, and when."""
    state, ended = state or State(), []
    begin = 0.0 if state.seen is None else state.seen.at
    for number in range(1, int(seconds) + 1):
        now = begin + number
        state = seen(POLICY, state, HostMemory(now, full, int(now) if scans else 7))
        state, one = relieve(POLICY, state, candidates, now)
        ended += [(now, one)] if one else []
    return state, ended


def test_the_least_important_watchers_largest_worker_ends_first() -> None:
    _, ended = pressed(32)
    assert [(one.watcher, one.wid, one.generation) for _, one in ended] == [("cache", 2, 4)]
    assert "80 % of the time" in ended[0][1].reason


def test_who_stays_within_its_memory_low_comes_last_whatever_its_priority() -> None:
    spared = Candidate("spared", -5, 100, 200, ((1, 1, 100),))
    _, ended = pressed(32, candidates=(spared, SHOP))
    assert [one.watcher for _, one in ended] == ["shop"]
    _, ended = pressed(32, candidates=(spared,))
    assert [one.watcher for _, one in ended] == ["spared"]


def test_there_is_a_pause_between_two_ends() -> None:
    _, ended = pressed(100)
    times = [at for at, _ in ended]
    assert times[0] == 31.0
    assert [later - earlier for earlier, later in pairwise(times)] == [15.0] * 4


def test_nothing_ends_for_short_pressure_for_pressure_without_reclaim_or_for_a_gap() -> None:
    assert not pressed(30)[1]
    assert not pressed(300, full=59.0)[1]
    assert not pressed(300, scans=False)[1]
    state, _ = pressed(20)
    late = HostMemory(120.0, 80.0, 1000)
    state = seen(POLICY, state, late)
    assert relieve(POLICY, state, (SHOP,), 120.0)[1] is None


def test_a_stale_sample_ends_nobody() -> None:
    state, _ = pressed(30)
    assert relieve(POLICY, state, (SHOP,), 45.0)[1] is None


def test_restarts_after_a_host_oom_wait_until_the_pressure_is_over_and_no_others_do() -> None:
    state, _ = pressed(5, full=40.0)
    state = after_host_oom(state)
    assert not may_restart(state, "oom-host", 5.0)
    assert may_restart(state, "oom", 5.0), "its own limit's"
    assert may_restart(state, "exited", 5.0)
    state, _ = pressed(60, state, full=40.0)
    assert not may_restart(state, "oom-host", 65.0), "less, and not over"
    state, _ = pressed(10, state, full=1.0)
    assert not may_restart(state, "oom-host", 75.0)
    state, _ = pressed(2, state, full=1.0)
    assert may_restart(state, "oom-host", 77.0)


def test_an_ended_worker_waits_too() -> None:
    state, ended = pressed(32)
    assert ended
    assert not may_restart(state, "pressure", 32.0)


def test_who_cannot_see_the_pressure_holds_nobody() -> None:
    assert may_restart(after_host_oom(State()), "oom-host", 0.0)
    state, _ = pressed(32)
    assert may_restart(state, "oom-host", 60.0)
