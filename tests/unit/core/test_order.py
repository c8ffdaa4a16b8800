"""Who begins before whom."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.order import (
    Standing,
    before,
    cycle,
    dependants,
    ended_for_good,
    longest_stop,
    obstacle,
    sequence,
    standing,
)
from circus_cg.core.slot import Phase
from circus_cg.core.state import Exit, Instead, Readiness, Slot
from circus_cg.spec import StopStep, WatcherSpec


def watcher(name: str, **options: object) -> WatcherSpec:
    return WatcherSpec(name=name, cmd=("true",), **options)  # type: ignore[arg-type]


def test_the_higher_priority_begins_first_and_equals_as_they_are_given() -> None:
    specs = [watcher("b"), watcher("a"), watcher("low", priority=-1), watcher("high", priority=1)]
    assert sequence(specs) == ["high", "b", "a", "low"]


def test_who_is_waited_for_begins_first_whatever_the_priority() -> None:
    specs = [
        watcher("web", requires=("db",), after=("log",), priority=9),
        watcher("log"),
        watcher("db", after=("disk",)),
    ]
    found = sequence([*specs, watcher("disk")])
    assert found.index("disk") < found.index("db") < found.index("web")
    assert found.index("log") < found.index("web")
    assert sorted(found) == ["db", "disk", "log", "web"]


def test_of_those_waited_for_the_higher_priority_begins_first() -> None:
    names = "fbhdagce"
    others = [watcher(name, priority=-place) for place, name in enumerate(names)]
    assert sequence([*others[::-1], watcher("web", after=tuple("abcdefgh"), priority=9)]) == [*names, "web"]


def test_names_that_nobody_has_are_left_alone() -> None:
    assert sequence([watcher("web", after=("gone",))]) == ["web"]
    assert cycle([watcher("web", after=("gone",))]) == []


def test_who_depends_on_whom() -> None:
    specs = [watcher("web", requires=("db",)), watcher("jobs", after=("db", "web")), watcher("db")]
    assert dependants(specs) == {"web": {"jobs"}, "jobs": set(), "db": {"web", "jobs"}}


def test_the_longest_stop_is_that_of_the_longest_chain() -> None:
    steps = (StopStep(15, 40.0), StopStep(2, 20.0))
    specs = [
        watcher("web", requires=("db",), graceful_timeout=5),
        watcher("jobs", after=("db",), stop=steps),
        watcher("db", after=("gone",), graceful_timeout=7),
        watcher("alone", graceful_timeout=66, priority=9),
    ]
    assert longest_stop(specs) == 67
    assert longest_stop([*specs, watcher("first", graceful_timeout=1)]) == 67
    assert longest_stop([watcher("alone", graceful_timeout=66)]) == 66
    assert longest_stop([]) == 0


def test_a_chain_of_ten_thousand_stops_one_after_the_other() -> None:
    chain = [watcher(str(i), after=(str(i + 1),), graceful_timeout=0.5) for i in range(10_000)]
    assert longest_stop(chain) == 5_000


@pytest.mark.parametrize(
    ("edges", "around"),
    [
        ({"a": ("a",)}, ["a", "a"]),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, ["b", "c", "b"]),
        ({"a": ("b", "c"), "b": ("c",), "c": ()}, []),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, []),
        ({"a": ("c",), "b": ("a",), "c": ("b",)}, ["a", "c", "b", "a"]),
    ],
)
def test_a_cycle_is_told_by_its_names(edges: dict[str, tuple[str, ...]], around: list[str]) -> None:
    specs = [watcher(name, after=others[:1], requires=others[1:]) for name, others in edges.items()]
    assert cycle(specs) == around
    assert sorted(sequence(specs)) == sorted(edges)


def test_a_long_chain_is_no_burden() -> None:
    specs = [watcher(f"w{number}", after=(f"w{number + 1}",)) for number in range(20_000)]
    assert cycle(specs) == []
    assert sequence(specs)[:2] == ["w19999", "w19998"]
    closed = [*specs, watcher("w20000", after=("w0",))]
    assert len(cycle(closed)) == 20_002


# --- What others may expect of a watcher.

WELL = Exit(0, None, "exited", "", 5.0, 100.0)
BADLY = Exit(3, None, "exited", "", 5.0, 90.0)


def slot(wid: int, phase: Phase, **more: object) -> Slot:
    return Slot(wid=wid, wanted=True, phase=phase, generation=1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([slot(1, Phase.READY), slot(2, Phase.READY)], Standing.READY),
        ([slot(1, Phase.READY), slot(2, Phase.STARTING)], Standing.COMING),
        ([slot(1, Phase.READY)], Standing.COMING),
        ([], Standing.COMING),
        ([slot(1, Phase.READY), slot(2, Phase.BACKOFF)], Standing.AWAY),
        ([slot(1, Phase.READY), slot(2, Phase.FAILED)], Standing.AWAY),
        ([slot(1, Phase.READY), slot(2, Phase.DONE, last_exit=WELL)], Standing.READY),
        ([slot(1, Phase.READY), slot(2, Phase.DONE, last_exit=BADLY)], Standing.AWAY),
        ([slot(1, Phase.READY), slot(2, Phase.READY, readiness=Readiness(unwell=("http",)))], Standing.AWAY),
    ],
)
def test_a_watcher_is_ready_when_all_its_workers_are(slots: list[Slot], expected: Standing) -> None:
    assert standing(watcher("w"), True, 2, slots) is expected


def test_one_that_is_not_wanted_is_away() -> None:
    assert standing(watcher("w"), False, 1, [slot(1, Phase.READY)]) is Standing.AWAY
    assert standing(watcher("w"), True, 0, []) is Standing.READY


def test_what_stands_in_the_way_is_said_and_whether_it_is_worth_waiting_for() -> None:
    web = watcher("web", requires=("db",), after=("log",))
    assert obstacle(web, {"db": Standing.READY, "log": Standing.READY}) is None
    assert obstacle(web, {"db": Standing.READY, "log": Standing.AWAY}) is None
    assert obstacle(web, {"db": Standing.READY, "log": Standing.COMING}) == ("after log, which is starting", True)
    assert obstacle(web, {"db": Standing.COMING, "log": Standing.COMING}) == ("requires db, which is starting", True)
    assert obstacle(web, {"db": Standing.AWAY, "log": Standing.READY}) == ("requires db, which is not running", False)
    assert obstacle(web, {"log": Standing.READY}) == ("requires db, which is not running", False)


def test_a_watcher_has_ended_for_good_with_its_last_workers_code() -> None:
    done = [slot(1, Phase.DONE, last_exit=BADLY), slot(2, Phase.DONE, last_exit=WELL)]
    assert ended_for_good(True, 2, done) == 0
    assert ended_for_good(True, 2, [done[0], slot(2, Phase.FAILED, last_exit=WELL)]) == 1
    assert ended_for_good(True, 1, done[:1]) == 3
    assert ended_for_good(True, 2, done[:1]) is None
    assert ended_for_good(True, 2, [done[0], slot(2, Phase.BACKOFF, last_exit=WELL)]) is None
    assert ended_for_good(False, 2, done) is None
    assert ended_for_good(True, 0, []) is None


def test_of_several_circles_the_one_through_the_first_name_is_told() -> None:
    specs = [watcher("a", after=("c", "b")), watcher("b", after=("a",)), watcher("c", after=("a",))]
    assert cycle(specs) == ["a", "b", "a"]


def test_a_slot_that_is_not_wanted_or_is_yet_to_take_over_says_nothing_of_its_watcher() -> None:
    well = Slot(wid=1, wanted=True, phase=Phase.READY, generation=1)
    taking = Instead(wid=1, generation=1, reason="max-age", detail="")
    others = [Slot(wid=2), Slot(wid=3, wanted=True, phase=Phase.STARTING, generation=1, instead=taking)]
    assert standing(watcher("w"), True, 1, [well, *others]) is Standing.READY


def test_one_that_gave_up_before_it_ever_ended_has_failed() -> None:
    assert ended_for_good(True, 1, [Slot(wid=1, wanted=True, phase=Phase.FAILED)]) == 1
    assert ended_for_good(True, 1, [Slot(wid=1, wanted=True, phase=Phase.DONE)]) == 0


# --- Whatever the configuration.

NAMES = [f"w{number}" for number in range(6)]
SETS = st.lists(
    st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)), st.integers(-2, 2)),
    min_size=len(NAMES), max_size=len(NAMES),
).map(
    lambda edges: [
        watcher(name, after=tuple(sorted(after)), requires=tuple(sorted(requires)), priority=priority)
        for name, (after, requires, priority) in zip(NAMES, edges, strict=True)
    ]
)  # fmt: skip


@given(SETS)
def test_everybody_is_in_the_sequence_once_and_after_those_that_come_before(specs: list[WatcherSpec]) -> None:
    found = sequence(specs)
    assert sorted(found) == NAMES
    around = cycle(specs)
    if around:
        assert around[0] == around[-1]
        by_name = {spec.name: spec for spec in specs}
        assert all(later in before(by_name[name]) for name, later in pairwise(around))
    else:
        ranks = {name: rank for rank, name in enumerate(found)}
        assert all(ranks[one] < ranks[spec.name] for spec in specs for one in before(spec))


@given(SETS, st.randoms(use_true_random=False))
def test_without_a_cycle_everybody_begins_though_nobody_does_too_early(
    specs: list[WatcherSpec], chance: Random
) -> None:
    """Each becomes ready some time after it began."""
    standings = dict.fromkeys(NAMES, Standing.AWAY)
    held = set(sequence(specs))
    by_name = {spec.name: spec for spec in specs}
    for _ in range(10 * len(NAMES)):
        for name in [name for name in sequence(specs) if name in held]:
            if obstacle(by_name[name], standings) is None:
                assert all(standings[one] is Standing.READY for one in by_name[name].requires)
                standings[name] = Standing.COMING
                held.discard(name)
        coming = [name for name, found in standings.items() if found is Standing.COMING]
        if coming:
            standings[chance.choice(coming)] = Standing.READY
    assert bool(cycle(specs)) or not held
