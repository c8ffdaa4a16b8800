"""New before old: which worker begins, which goes, and when neither does."""

from math import inf
from typing import Any

import pytest

from circus_cg.core import replacement
from circus_cg.core.replacement import Begin, Drop, InPlace, Queue, Take, Use, Wish, lack_of_room, wish
from circus_cg.core.slot import Phase
from circus_cg.core.state import Exit, Instead, Readiness, Slot
from circus_cg.core.watcher import reconcile
from circus_cg.spec import HealthCheck, WatcherSpec

SPEC = WatcherSpec(name="w", cmd=("true",))
NEVER = WatcherSpec(name="w", cmd=("true",), restart="never")
SLOW = WatcherSpec(
    name="w",
    cmd=("true",),
    start_timeout=10.0,
    health=(
        HealthCheck(name="db", kind="readiness", tcp="1", start_period=40.0),
        HealthCheck(name="cache", kind="readiness", tcp="2", start_period=2.0),
        HealthCheck(name="up", kind="liveness", tcp="3", start_period=99.0),
    ),
)  # nobody is asked before its start_period is over
OLD = Wish(1, 4, "max-age", "3600 s")
FOR_OLD = Instead(wid=1, generation=4, reason="max-age", detail="3600 s")


def ready(wid: int, generation: int, **more: object) -> Slot:
    return Slot(wid=wid, wanted=True, phase=Phase.READY, generation=generation, alive=True, pid=wid, **more)  # type: ignore[arg-type]


def advance(
    slots: list[Slot],
    *wishes: Wish,
    spec: WatcherSpec = SPEC,
    in_place: Wish | None = None,
    no_room: str | None = None,
    now: float = 0.0,
) -> tuple[Queue, replacement.Move | None]:
    return replacement.advance(spec, {slot.wid: slot for slot in slots}, Queue(wishes, in_place), no_room, now)


def test_one_more_begins_where_nobody_is_at_all() -> None:
    assert advance([ready(1, 4), ready(2, 1)], OLD) == (Queue(), Begin(3, FOR_OLD))


def test_a_place_that_was_given_up_is_used_again_but_not_one_on_its_way_out() -> None:
    going = Slot(wid=2, phase=Phase.STOPPING, generation=3)
    assert advance([ready(1, 4), going, Slot(wid=3, generation=1)], OLD)[1] == Begin(3, FOR_OLD)


@pytest.mark.parametrize(
    ("phase", "frozen", "move"),
    [
        (Phase.STARTING, False, None),
        (Phase.READY, True, None),
        (Phase.READY, False, Take(2, FOR_OLD)),
    ],
)
def test_it_takes_over_once_it_is_ready(phase: Phase, frozen: bool, move: replacement.Move | None) -> None:
    new = Slot(wid=2, wanted=True, phase=phase, generation=1, alive=True, frozen=frozen, instead=FOR_OLD)
    assert advance([ready(1, 4), new]) == (Queue(), move)


def test_it_does_not_take_over_as_long_as_it_does_not_pass_its_checks() -> None:
    new = ready(2, 1, instead=FOR_OLD, readiness=Readiness(unwell=("db",)))
    assert advance([ready(1, 4), new]) == (Queue(), None)


@pytest.mark.parametrize(("spec", "patience"), [(SPEC, 90.0), (SLOW, 63.0)])
def test_it_goes_again_if_it_does_not_pass_its_checks_in_the_time_that_it_had_to_start(
    spec: WatcherSpec, patience: float
) -> None:
    new = ready(2, 1, instead=FOR_OLD, since=100.0, readiness=Readiness(unwell=("db", "cache")))
    slots = [ready(1, 4), new]
    assert replacement.due(spec, {slot.wid: slot for slot in slots}) == 100.0 + patience
    assert advance(slots, spec=spec, now=99.9 + patience) == (Queue(), None)
    why = f"it is ready and does not pass db, cache after {patience:g} s"
    assert advance(slots, spec=spec, now=100.0 + patience) == (Queue(), Drop(2, FOR_OLD, why))


def test_a_wish_for_the_life_that_its_successor_left_in_its_place_is_made_again_by_whoever_still_has_it() -> None:
    """Else the next try began at once, and nobody else had a turn."""
    new = ready(2, 1, instead=FOR_OLD, readiness=Readiness(unwell=("db",)))
    other = Wish(3, 1, "memory", "")
    queue, move = advance([ready(1, 4), new, ready(3, 1)], OLD, other, now=90.0)
    assert isinstance(move, Drop) and queue == Queue((other,))


@pytest.mark.parametrize(
    "slot",
    [
        ready(2, 1, since=100.0, readiness=Readiness(unwell=("db",))),  # nobody's successor
        ready(2, 1, since=100.0, readiness=Readiness(unwell=("db",)), instead=FOR_OLD, frozen=True),
        Slot(wid=2, wanted=True, phase=Phase.STARTING, generation=1, instead=FOR_OLD),  # that time is the slot's own
        Slot(wid=2, phase=Phase.STOPPING, generation=1, instead=FOR_OLD),
    ],
)
def test_nobody_else_has_such_a_time(slot: Slot) -> None:
    slots = [ready(1, 4), slot]
    assert replacement.due(SPEC, {slot.wid: slot for slot in slots}) == inf
    assert advance(slots, now=1e6) == (Queue(), None)


def test_one_that_says_it_is_stopping_takes_nobodys_place_and_keeps_nobody_waiting() -> None:
    """Seed 9333 of the simulation: it said so and stayed, and its watcher replaced nobody any more."""
    new = ready(2, 1, instead=FOR_OLD, readiness=Readiness(stopping=True, unwell=("db",)))
    assert advance([ready(1, 4), new])[1] == Drop(2, FOR_OLD, "it says that it is stopping")


@pytest.mark.parametrize("phase", [Phase.BACKOFF, Phase.FAILED, Phase.STOPPING])
def test_it_goes_again_if_it_does_not_become_ready(phase: Phase) -> None:
    new = Slot(wid=2, wanted=True, phase=phase, generation=1, instead=FOR_OLD)
    _, move = advance([ready(1, 4), new])
    assert isinstance(move, Drop)
    assert move.wid == 2


@pytest.mark.parametrize(
    "old",
    [
        ready(1, 5),  # it died meanwhile and lives again
        Slot(wid=1, wanted=True, phase=Phase.BACKOFF, generation=4),
        Slot(wid=1, wanted=False, phase=Phase.STOPPING, generation=4, alive=True),  # the watcher shrank
    ],
)
def test_it_goes_again_if_the_other_one_is_gone_by_itself(old: Slot) -> None:
    _, move = advance([old, ready(2, 1, instead=FOR_OLD)])
    assert move == Drop(2, FOR_OLD, "the life it was to replace is over")


def test_the_next_one_waits_for_its_turn_and_a_life_is_asked_for_once() -> None:
    queue = wish(wish(wish(Queue(), OLD), Wish(2, 1, "memory", "")), Wish(1, 4, "memory", ""))
    assert queue.wishes == (OLD, Wish(2, 1, "memory", ""))
    slots = [ready(1, 4), ready(2, 1), Slot(wid=3, wanted=True, phase=Phase.STARTING, generation=1, instead=FOR_OLD)]
    assert advance(slots, *queue.wishes) == (queue, None)
    assert advance([Slot(wid=1), ready(2, 1), ready(3, 1)], *queue.wishes[1:])[1] == Begin(
        1, Instead(wid=2, generation=1, reason="memory", detail="")
    )


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ({"phase": Phase.BACKOFF}, "it did not become ready: backoff"),
        (
            {"phase": Phase.FAILED, "last_exit": Exit(3, None, "exited", "", 0.5, 9.0)},
            "it did not become ready: exited with status 3 after 0.50 s",
        ),
    ],
)
def test_it_is_told_why_it_goes_again(left: dict[str, Any], why: str) -> None:
    new = Slot(wid=2, wanted=True, generation=1, instead=FOR_OLD, **left)
    assert advance([ready(1, 4), new])[1] == Drop(2, FOR_OLD, why)


def test_a_wish_for_a_life_that_is_over_holds_up_nobody() -> None:
    other = Wish(2, 1, "memory", "")
    begin = Begin(3, Instead(wid=2, generation=1, reason="memory", detail=""))
    assert advance([ready(1, 5), ready(2, 1)], OLD, other) == (Queue(), begin)


def test_a_wish_waits_for_the_end_in_place_that_is_under_way() -> None:
    other = Wish(2, 1, "memory", "")
    assert wish(Queue((), in_place=OLD), other) == Queue((other,), in_place=OLD)


@pytest.mark.parametrize("ended", [None, Slot(wid=1), Slot(wid=1, phase=Phase.STOPPING, generation=4, alive=True)])
def test_nobody_waits_for_an_end_in_place_in_a_slot_that_is_given_up(ended: Slot | None) -> None:
    there = [ready(2, 1)] if ended is None else [ended, ready(2, 1)]
    _, move = advance(there, Wish(2, 1, "memory", ""), in_place=OLD)
    assert isinstance(move, Begin)


@pytest.mark.parametrize("phase", [Phase.DONE, Phase.FAILED, Phase.IDLE])
@pytest.mark.parametrize("generation", [4, 5])
def test_nobody_waits_for_an_end_in_place_that_no_other_life_follows(phase: Phase, generation: int) -> None:
    """`restart: never` does not, and one that has failed."""
    ended = Slot(wid=1, wanted=True, phase=phase, generation=generation)
    next_one = Wish(2, 1, "max-age", "")
    queue, move = advance([ended, ready(2, 1)], next_one, spec=NEVER, in_place=OLD)
    assert (queue, move) == (Queue(in_place=next_one), InPlace(next_one, "nothing is restarted here"))


def test_an_end_in_place_is_waited_for_until_the_next_life_has_begun() -> None:
    for phase in (Phase.READY, Phase.STOPPING, Phase.BACKOFF):
        ending = Slot(wid=1, wanted=True, phase=phase, generation=4)
        assert advance([ending, ready(2, 1)], Wish(2, 1, "max-age", ""), in_place=OLD)[1] is None


def test_where_nothing_is_restarted_the_life_ends_in_place() -> None:
    assert advance([ready(1, 4)], OLD, spec=NEVER)[1] == InPlace(OLD, "nothing is restarted here")


def test_wishes_about_lives_that_are_over_are_forgotten() -> None:
    assert advance([ready(1, 5)], OLD) == (Queue(), None)
    assert advance([], OLD) == (Queue(), None)


def test_a_singleton_is_replaced_in_place() -> None:
    queue, move = advance([ready(1, 4)], OLD, spec=WatcherSpec(name="w", cmd=("true",), singleton=True))
    assert move == InPlace(OLD, "it is a singleton")
    assert queue == Queue(in_place=OLD)


def test_where_there_is_no_room_it_is_in_place_and_still_one_at_a_time() -> None:
    second = Wish(2, 1, "max-age", "")
    queue, move = advance([ready(1, 4), ready(2, 1)], OLD, second, no_room="no room")
    assert move == InPlace(OLD, "no room")
    ending = Slot(wid=1, wanted=True, phase=Phase.STOPPING, generation=4, alive=True)
    assert advance([ending, ready(2, 1)], *queue.wishes, in_place=OLD, no_room="no room") == (queue, None)
    starting = Slot(wid=1, wanted=True, phase=Phase.STARTING, generation=5, alive=True)
    assert advance([starting, ready(2, 1)], *queue.wishes, in_place=OLD, no_room="no room")[1] is None
    assert advance([ready(1, 5), ready(2, 1)], *queue.wishes, in_place=OLD, no_room="no room")[1] == InPlace(
        second, "no room"
    )


def test_room_is_what_the_sum_leaves() -> None:
    whole = Use(memory_current=60, memory_max=100, pids=8, pids_max=10)
    assert lack_of_room(whole, Use(memory_current=40, pids=2)) is None
    assert lack_of_room(whole, Use(memory_current=41)) == "one more would not fit into watcher_limits.memory_max 100"
    assert lack_of_room(whole, Use(pids=3)) == "one more would not fit into watcher_limits.pids_max 10"
    assert lack_of_room(Use(memory_current=60), Use(memory_current=41)) is None
    assert lack_of_room(Use(memory_current=100, memory_max=100), Use()) is None  # of one that is not known to use any


def test_who_is_to_replace_another_counts_only_once_it_has() -> None:
    slots = {1: ready(1, 4), 2: ready(2, 1, instead=FOR_OLD)}
    assert reconcile(True, 1, slots) == ()
    assert [(wid, kind.__name__) for wid, kind in reconcile(True, 2, slots)] == [(3, "Start")]
    assert [(wid, kind.__name__) for wid, kind in reconcile(True, 0, slots)] == [(1, "Stop")]
    assert [(wid, kind.__name__) for wid, kind in reconcile(False, 1, slots)] == [(1, "Stop"), (2, "Stop")]


def test_a_queue_is_empty_when_nobody_waits_and_no_end_is_awaited() -> None:
    assert [bool(Queue(wishes, in_place)) for wishes in ((), (OLD,)) for in_place in (None, OLD)] == [
        False, True, True, True,
    ]  # fmt: skip
