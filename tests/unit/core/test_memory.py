"""Workers that use too much memory, or wait for it: which one gets a new life, when, and that the others don't."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from circus_cg.core import memory
from circus_cg.core.memory import Replace, State, WorkerMemory, lacks_pressure_rule, least
from circus_cg.core.state import Phase
from circus_cg.spec import Backoff, Limits, MemoryPolicy, WatcherSpec

POLICY = MemoryPolicy(restart_above=100, restart_after=30.0)


def decide(policy: MemoryPolicy, *looked: Any, longest: float = 30.0) -> tuple[State, Replace | None]:
    return memory.decide(WatcherSpec(name="w", cmd=("x",), memory_policy=policy, backoff=Backoff(max=longest)), *looked)


def worker(
    wid: int, current: int, *, generation: int = 1, phase: Phase = Phase.READY, full: float = 0.0
) -> WorkerMemory:
    return WorkerMemory(wid, generation, phase, current, full, high=200)


def watched(
    workers: tuple[WorkerMemory, ...], seconds: float, state: State | None = None, room: int | None = None
) -> tuple[State, list[Replace]]:
    """What is asked for while `workers` stay as they are, looked at every two seconds."""
    state, asked = state or State(), []
    begin = state.at or 0.0
    for number in range(1, int(seconds / 2) + 1):
        state, one = decide(POLICY, state, workers, room, begin + 2.0 * number)
        asked += [one] if one else []
    return state, asked


def test_who_stays_above_is_replaced_alone_and_once_with_the_new_one_first() -> None:
    _, asked = watched((worker(1, 150), worker(2, 50)), 58)
    assert [(one.wid, one.generation, one.new_first, one.rule) for one in asked] == [(1, 1, True, "restart_above")]
    assert "150 bytes, more than restart_above 100, for 30 s" in asked[0].reason


def test_one_whose_successor_did_not_become_ready_is_asked_for_again_each_half_minute() -> None:
    state, asked = watched((worker(1, 150), worker(2, 50)), 130)
    assert [one.wid for one in asked] == [1, 1, 1, 1]
    assert state.replacing is not None and state.replacing.at == 122.0


def test_a_peak_shorter_than_the_time_is_forgiven() -> None:
    state = None
    for _ in range(10):
        state, asked = watched((worker(1, 150),), 28, state)
        assert not asked
        state, asked = watched((worker(1, 90),), 2, state)
        assert not asked


def test_of_several_the_largest_goes_first_and_the_next_only_when_all_is_quiet() -> None:
    state, asked = watched((worker(1, 150), worker(2, 180)), 40)
    assert [one.wid for one in asked] == [2]
    begins = (worker(1, 150), worker(2, 180), worker(2, 10, generation=2, phase=Phase.STARTING))
    state, asked = watched(begins, 40, state)
    assert not asked
    state, asked = watched((worker(1, 150), worker(2, 10, generation=2)), 10, state)
    assert [one.wid for one in asked] == [1]


def test_without_room_for_both_the_old_one_ends_first() -> None:
    _, asked = watched((worker(1, 150),), 40, room=100)
    assert [one.new_first for one in asked] == [False]


def test_a_worker_that_stands_still_at_its_memory_high_is_ended() -> None:
    _, asked = watched((worker(1, 195, full=80.0), worker(2, 50, full=80.0)), 40)
    assert [(one.wid, one.rule, one.new_first) for one in asked] == [(1, "stalled", False)]


def test_pressure_on_a_worker_below_its_memory_high_is_not_its_own() -> None:
    _, asked = watched((worker(1, 90, full=80.0),), 100)
    assert not asked


def test_time_that_nobody_looked_does_not_count() -> None:
    state, _ = decide(POLICY, State(), (worker(1, 150),), None, 0.0)
    state, asked = decide(POLICY, state, (worker(1, 150),), None, 100.0)
    assert asked is None
    assert state.above == {"1.1": 100.0}


def test_memory_high_needs_a_rule_for_who_stands_still() -> None:
    assert lacks_pressure_rule(Limits(memory_high=1 << 20), MemoryPolicy(stalled_at=None))
    assert not lacks_pressure_rule(Limits(memory_high=1 << 20), MemoryPolicy())
    assert not lacks_pressure_rule(Limits(), MemoryPolicy(stalled_at=None))


PHASES = st.sampled_from((Phase.READY, Phase.READY, Phase.READY, Phase.STARTING, Phase.STOPPING, Phase.BACKOFF))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 300), PHASES, st.floats(0, 100)), min_size=1, max_size=40))
def test_never_two_at_once(moves: list[tuple[int, int, Phase, float]]) -> None:
    """Whatever the workers do: while the asked-for one is there, nobody else is asked for.

    But for who stands still, while another's successor is awaited.
    """
    workers = {wid: worker(wid, 150) for wid in (1, 2, 3)}
    state, before = State(), None
    for number, (wid, current, phase, full) in enumerate(moves * 8):
        old = workers[wid]
        generation = old.generation + (phase is Phase.STARTING)
        workers[wid] = worker(wid, current, generation=generation, phase=phase, full=full)
        there = tuple(workers.values())
        state, asked = decide(POLICY, state, there, None, 2.0 * number, longest=1e9)
        lives = {(one.wid, one.generation) for one in there}
        if asked is not None:
            is_free = before is None or (before.wid, before.generation) not in lives
            assert is_free or (before is not None and before.new_first and asked.rule == "stalled")
            assert all(one.phase not in (Phase.STARTING, Phase.STOPPING) for one in there)
            assert (asked.wid, asked.generation) in lives
            before = asked


def test_what_uses_least_can_be_over_a_line_and_what_uses_less_cannot() -> None:
    high = Limits(memory_high=200)
    assert least(Limits(), MemoryPolicy()) is None
    assert least(high, MemoryPolicy(stalled_at=None)) is None
    assert least(Limits(), POLICY) == 100
    assert least(high, MemoryPolicy()) == 190
    assert least(high, POLICY) == 100
    assert least(Limits(memory_high=50), POLICY) == 47
    for policy, limits, line in ((MemoryPolicy(), high, 190), (MemoryPolicy(restart_above=100), Limits(), 101)):
        assert (least(limits, policy) or 0) in (line, line - 1)
        for current, is_over in ((line - 1, False), (line, True)):
            state, _ = decide(policy, State(), (worker(1, current, full=100.0),), None, 0.0)
            assert bool(state.above or state.stalled) is is_over
