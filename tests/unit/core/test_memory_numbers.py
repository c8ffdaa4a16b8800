"""The memory policy and the host's pressure at their edges: one look, with every number given."""

from typing import Any

import pytest
from msgspec.structs import replace

from circus_cg.core import memory, pressure
from circus_cg.core.memory import Asked, Replace, State, WorkerMemory, applies, interval, lacks_pressure_rule
from circus_cg.core.pressure import Candidate, End, HostMemory, after_host_oom, may_restart, relieve, seen
from circus_cg.core.state import Phase
from circus_cg.spec import Backoff, Limits, MemoryPolicy, PressurePolicy, WatcherSpec

POLICY = MemoryPolicy(restart_above=100, restart_after=30.0, stalled_at=20.0, stalled_after=40.0)
NOW = 1000.0


def decide(policy: MemoryPolicy, *looked: Any, longest: float = 30.0) -> tuple[State, Replace | None]:
    return memory.decide(WatcherSpec(name="w", cmd=("x",), memory_policy=policy, backoff=Backoff(max=longest)), *looked)


def worker(current: int | None = 150, wid: int = 1, phase: Phase = Phase.READY, **more: Any) -> WorkerMemory:
    return WorkerMemory(wid, 1, phase, current, **more)


def looked(*workers: WorkerMemory, policy: MemoryPolicy = POLICY, room: int | None = None, **state: Any) -> Any:
    return decide(policy, State(at=NOW - 2, **state), workers, room, NOW)


def asked(life: str, ago: float = 2.0, new_first: bool = True) -> Asked:
    return Asked(life, NOW - ago, new_first)


# -- one watcher's workers


@pytest.mark.parametrize(
    ("one", "above"),
    [
        (worker(101), True),
        (worker(100), False),
        (worker(None), False),
        (worker(150, phase=Phase.STARTING), False),
        (worker(150, phase=Phase.STOPPING), False),
    ],
)
def test_who_uses_more_than_the_line_is_remembered_from_then_on(one: WorkerMemory, above: bool) -> None:
    assert looked(one) == (State(above={"1.1": NOW} if above else {}, at=NOW), None)
    state, _ = looked(one, above={"1.1": NOW - 9, "2.1": NOW - 9})
    assert state.above == ({"1.1": NOW - 9} if above else {})


@pytest.mark.parametrize(
    ("one", "stalled"),
    [
        (worker(95, full=20.0, high=100), True),
        (worker(94, full=20.0, high=100), False),  # its own memory_high holds nobody up there
        (worker(95, full=19.9, high=100), False),
        (worker(95, full=None, high=100), False),
        (worker(95, full=90.0), False),
        (worker(None, full=90.0, high=100), False),
        (worker(95, full=90.0, high=100, phase=Phase.STOPPING), False),
    ],
)
def test_who_waits_for_memory_at_its_own_line_is_remembered_from_then_on(one: WorkerMemory, stalled: bool) -> None:
    assert looked(one) == (State(stalled={"1.1": NOW} if stalled else {}, at=NOW), None)


def test_without_a_rule_nobody_is_looked_at() -> None:
    none = MemoryPolicy(restart_above=None, stalled_at=None)
    assert looked(worker(10**9, full=99.0, high=1), policy=none) == (State(at=NOW), None)


@pytest.mark.parametrize(("since", "asked"), [(NOW - 30, True), (NOW - 29.9, False)])
def test_who_stays_above_so_long_is_replaced(since: float, asked: bool) -> None:
    state, one = looked(worker(150), above={"1.1": since})
    if not asked:
        assert (one, state.replacing) == (None, None)
        return
    assert one == Replace(1, 1, True, "restart_above", "used 150 bytes, more than restart_above 100, for 30 s")
    assert state == State(above={"1.1": since}, replacing=Asked("1.1", NOW, True), at=NOW)


@pytest.mark.parametrize(("since", "asked"), [(NOW - 40, True), (NOW - 39.9, False)])
def test_who_waits_so_long_is_replaced_without_waiting_for_another(since: float, asked: bool) -> None:
    state, one = looked(worker(95, full=61.4, high=100), stalled={"1.1": since}, room=None)
    if not asked:
        assert one is None
        return
    reason = "waited for memory 61 % of the time at memory_high 100, for 40 s"
    assert one == Replace(1, 1, False, "stalled", reason)
    assert state.replacing == Asked("1.1", NOW, False)


@pytest.mark.parametrize(("room", "new_first"), [(None, True), (150, True), (149, False), (0, False)])
def test_the_new_one_comes_first_where_both_fit(room: int | None, new_first: bool) -> None:
    _, one = looked(worker(150), above={"1.1": NOW - 99}, room=room)
    assert one.new_first is new_first


def test_of_several_the_largest_is_replaced_and_who_stands_still_before_it() -> None:
    above = {"1.1": NOW - 99, "2.1": NOW - 50, "3.1": NOW - 1}
    _, one = looked(worker(150, 1), worker(160, 2), worker(170, 3), above=above)
    assert (one.wid, one.reason) == (2, "used 160 bytes, more than restart_above 100, for 50 s")
    still = [worker(96, 1, full=50.0, high=100), worker(97, 2, full=50.0, high=100), worker(500, 3)]
    stalled = {"1.1": NOW - 60, "2.1": NOW - 50}
    _, one = looked(*still, above={"3.1": NOW - 99}, stalled=stalled)
    assert (one.wid, one.rule, one.reason[-8:]) == (2, "stalled", "for 50 s")


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
def test_nobody_is_replaced_while_another_begins_or_ends(phase: Phase) -> None:
    state, one = looked(worker(150), worker(10, 2, phase), above={"1.1": NOW - 99})
    assert (one, state.above) == (None, {"1.1": NOW - 99})
    assert looked(worker(150), worker(10, 2, Phase.BACKOFF), above={"1.1": NOW - 99})[1] is not None


def test_nobody_is_replaced_while_one_that_was_asked_for_is_there_still() -> None:
    there = (worker(150), worker(150, 2))
    state, one = looked(*there, above={"1.1": NOW - 99}, replacing=asked("2.1"))
    assert (one, state.replacing) == (None, asked("2.1"))
    _, one = looked(*there, above={"1.1": NOW - 99}, replacing=asked("3.1"))
    assert one is not None and one.wid == 1
    assert looked(worker(10), replacing=asked("3.1"))[0].replacing is None


@pytest.mark.parametrize(("ago", "again"), [(59.9, False), (60.0, True)])
def test_after_a_while_one_that_was_asked_for_and_is_there_still_holds_up_nobody(ago: float, again: bool) -> None:
    """Its successor did not become ready, and went: that happened, and says nothing of the next try."""
    for there, wid in (((worker(150), worker(10, 2)), 1), ((worker(150), worker(160, 2)), 2)):
        state = State(above={"1.1": NOW - 99, "2.1": NOW - 99}, replacing=asked("1.1", ago), at=NOW - 2)
        after, one = decide(POLICY, state, there, None, NOW, longest=60.0)
        assert (one is not None and one.wid) == (wid if again else False)
        assert after.replacing == (Asked(f"{wid}.1", NOW, True) if again else asked("1.1", ago))


def test_who_stands_still_waits_for_nobodys_successor_and_for_each_end_that_was_asked_for() -> None:
    still = worker(95, full=50.0, high=100)
    newcomer = worker(10, 3, Phase.STARTING, beside=True)
    waits: dict[str, Any] = {"stalled": {"1.1": NOW - 60}}
    for life in ("1.1", "2.1"):
        state, one = looked(still, worker(150, 2), newcomer, replacing=asked(life), **waits)
        assert one is not None and (one.wid, one.rule) == (1, "stalled")
        assert state.replacing == Asked("1.1", NOW, False)
        assert looked(still, worker(150, 2), replacing=asked(life, new_first=False), **waits)[1] is None
    assert looked(still, worker(10, 2, Phase.STARTING), **waits)[1] is None, "that one is no more than is wanted"


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.READY, Phase.STOPPING])
def test_nobody_else_is_replaced_as_long_as_a_successor_has_no_place_yet(phase: Phase) -> None:
    """It may be ready and not pass its checks yet; nor is it judged by what it uses itself."""
    there = (worker(150), worker(150, 2, phase, beside=True))
    assert looked(*there, above={"1.1": NOW - 99, "2.1": NOW - 99})[1] is None


@pytest.mark.parametrize(("gap", "asked"), [(10.0, True), (10.1, False)])
def test_a_gap_of_more_than_ten_seconds_begins_every_time_anew(gap: float, asked: bool) -> None:
    state = State(above={"1.1": NOW - 99}, stalled={"1.1": NOW - 99}, at=NOW - gap)
    assert (decide(POLICY, state, (worker(150),), None, NOW)[1] is not None) is asked
    stalled = worker(95, full=50.0, high=100)
    assert (decide(POLICY, state, (stalled,), None, NOW)[1] is not None) is asked


def test_which_policies_have_something_to_look_at() -> None:
    high = Limits(memory_high=100)
    none = MemoryPolicy(stalled_at=None)
    assert not applies(Limits(), MemoryPolicy()) and not applies(high, none) and not applies(Limits(), none)
    assert (
        applies(high, MemoryPolicy())
        and applies(Limits(), POLICY)
        and applies(Limits(), replace(POLICY, stalled_at=None))
    )
    assert lacks_pressure_rule(high, none)
    assert not lacks_pressure_rule(Limits(), none) and not lacks_pressure_rule(high, POLICY)


@pytest.mark.parametrize(
    ("above", "restart_after", "stalled_after", "seconds"),
    [(None, 1.0, 8.0, 4.0), (100, 1.0, 8.0, 0.5), (100, 0.1, 8.0, 0.25), (100, 60.0, 60.0, 5.0), (100, 9.0, 60.0, 4.5)],
)
def test_each_rules_time_is_looked_at_twice(
    above: int | None, restart_after: float, stalled_after: float, seconds: float
) -> None:
    policy = MemoryPolicy(restart_above=above, restart_after=restart_after, stalled_after=stalled_after)
    assert interval(policy, 5.0) == seconds


# -- the host

HOST = PressurePolicy(full_at=60.0, lasting=30.0, calm_at=10.0, calm_after=10.0, pause=15.0)
DUE = pressure.State(seen=HostMemory(NOW, 80.0, 7), over=NOW - 30, scanned=NOW - 30)
WEB = Candidate("web", 5, 500, 0, ((1, 1, 200), (2, 4, 300), (3, 2, 300)))


def sampled(full: float, pgscan: int | None = 7, at: float = NOW, **state: Any) -> pressure.State:
    before = pressure.State(**({"seen": HostMemory(NOW - 1, 50.0, 7)} | state))
    return seen(HOST, before, HostMemory(at, full, pgscan))


@pytest.mark.parametrize(("full", "over"), [(60.0, None), (60.1, NOW)])
def test_the_pressure_is_over_the_line_from_then_on(full: float, over: float | None) -> None:
    assert sampled(full).over == over
    assert sampled(full, over=NOW - 9).over == (NOW - 9 if over else None)
    assert sampled(full, seen=None, over=NOW - 9).over == over  # who did not look does not know


@pytest.mark.parametrize(("full", "calm"), [(10.0, None), (9.9, NOW)])
def test_the_pressure_is_calm_from_then_on(full: float, calm: float | None) -> None:
    assert sampled(full).calm == calm
    assert sampled(full, calm=NOW - 9).calm == (NOW - 9 if calm else None)
    assert sampled(full, seen=None, calm=NOW - 9).calm == calm


@pytest.mark.parametrize(("gap", "since"), [(10.0, NOW - 30), (10.1, NOW)])
def test_a_gap_in_the_samples_begins_anew(gap: float, since: float) -> None:
    assert sampled(80.0, seen=HostMemory(NOW - gap, 80.0, 7), over=NOW - 30).over == since


@pytest.mark.parametrize(
    ("before", "pgscan", "scanned"),
    [(7, 8, NOW), (7, 7, NOW - 5), (7, 6, NOW - 5), (None, 8, NOW - 5), (7, None, NOW)],
)
def test_reclaim_is_at_work_where_it_looks_at_pages(before: int | None, pgscan: int | None, scanned: float) -> None:
    assert sampled(80.0, pgscan, seen=HostMemory(NOW - 1, 80.0, before), scanned=NOW - 5).scanned == scanned


@pytest.mark.parametrize(("calm", "pressed"), [(NOW - 10, False), (NOW - 9.9, True), (None, True)])
def test_it_is_over_after_so_long_a_calm(calm: float | None, pressed: bool) -> None:
    assert sampled(1.0, calm=calm, pressed=True).pressed is pressed
    assert sampled(1.0, calm=calm).pressed is False


def test_the_least_important_ones_largest_worker_ends_and_the_reason_says_so() -> None:
    state, end = relieve(HOST, DUE, (WEB,), NOW)
    reason = "all waited for memory 80 % of the time for 30 s; 'web' has priority 5, and this is its largest worker"
    assert end == End("web", 3, 2, f"{reason} (300 bytes)")
    assert state == replace(DUE, ended=NOW, pressed=True)


@pytest.mark.parametrize(
    "state",
    [
        replace(DUE, seen=None),
        replace(DUE, seen=HostMemory(NOW - 10.1, 80.0, 7)),
        replace(DUE, over=None),
        replace(DUE, over=NOW - 29.9),
        replace(DUE, scanned=None),
        replace(DUE, scanned=NOW - 30.1),
        replace(DUE, ended=NOW - 14.9),
    ],
)
def test_nobody_ends_without_a_sample_of_now_lasting_pressure_reclaim_and_a_pause(state: pressure.State) -> None:
    assert relieve(HOST, state, (WEB,), NOW) == (state, None)


@pytest.mark.parametrize("state", [replace(DUE, ended=NOW - 15), replace(DUE, seen=HostMemory(NOW - 10, 80.0, 7))])
def test_at_the_very_edge_somebody_does(state: pressure.State) -> None:
    assert relieve(HOST, state, (WEB,), NOW)[1] is not None


def test_the_largest_ends_whatever_its_number() -> None:
    _, end = relieve(HOST, DUE, (Candidate("web", 5, 500, 0, ((1, 1, 200), (2, 4, 301), (3, 2, 300))),), NOW)
    assert end is not None and (end.wid, end.generation) == (2, 4)


def test_a_host_oom_ends_a_calm_that_would_have_let_everybody_begin() -> None:
    state = after_host_oom(pressure.State(seen=HostMemory(NOW - 1, 1.0, 7), calm=NOW - 99))
    assert (state.pressed, state.calm) == (True, None)
    assert seen(HOST, state, HostMemory(NOW, 1.0, 7)).pressed


def test_where_nobody_lives_nobody_ends() -> None:
    assert relieve(HOST, DUE, (Candidate("web", 5, 500, 0, ()),), NOW) == (DUE, None)
    assert relieve(HOST, DUE, (Candidate("a", 0, 500, 0, ()), WEB), NOW)[1] is not None


@pytest.mark.parametrize(
    ("other", "first"),
    [
        (Candidate("a", 6, 500, 0, ((1, 1, 9),)), "web"),
        (Candidate("a", 4, 500, 0, ((1, 1, 9),)), "a"),
        (Candidate("a", 4, 500, 500, ((1, 1, 9),)), "web"),  # within what was set aside for it
        (Candidate("a", 4, 501, 500, ((1, 1, 9),)), "a"),
        (Candidate("a", 5, 501, 0, ((1, 1, 9),)), "a"),  # further above it
        (Candidate("a", 5, 501, 2, ((1, 1, 9),)), "web"),
        (Candidate("a", 5, 500, 0, ((1, 1, 9),)), "a"),  # all alike: by name
        (Candidate("x", 5, 500, 0, ((1, 1, 9),)), "web"),
    ],
)
def test_who_ends_first(other: Candidate, first: str) -> None:
    for candidates in ((WEB, other), (other, WEB)):
        _, end = relieve(HOST, DUE, candidates, NOW)
        assert end is not None and end.watcher == first


@pytest.mark.parametrize(
    ("reason", "pressed", "age", "may"),
    [
        ("oom-host", True, 10.0, False),
        ("pressure", True, 10.0, False),
        ("oom", True, 0.0, True),
        ("exited", True, 0.0, True),
        ("oom-host", False, 0.0, True),
        ("oom-host", True, 10.1, True),  # who can't see must not keep a service down
        ("pressure", True, None, True),
    ],
)
def test_whose_restart_waits(reason: str, pressed: bool, age: float | None, may: bool) -> None:
    state = pressure.State(seen=None if age is None else HostMemory(NOW - age, 1.0), pressed=pressed)
    assert may_restart(state, reason, NOW) is may
