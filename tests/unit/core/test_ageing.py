"""When workers are old, and how they are spread."""

from math import inf

from circus_cg.core.ageing import due, old
from circus_cg.core.replacement import AGAIN
from circus_cg.core.slot import Phase
from circus_cg.core.state import Instead, Slot
from circus_cg.spec import Backoff, WatcherSpec
from tests.unit.core.lives import Life

SPEC = WatcherSpec(name="w", cmd=("true",), max_age=100.0, max_age_variance=20.0)


def ready(wid: int, started: float, luck: float = 0.0, **more: object) -> Slot:
    fields = {"wanted": True, "phase": Phase.READY, "alive": True, "generation": 1} | more
    return Slot(wid=wid, started=started, luck=luck, **fields)  # type: ignore[arg-type]


def test_each_life_is_dealt_its_own_age_when_it_begins() -> None:
    life = Life(draw=0.25, max_age=100.0, max_age_variance=20.0)
    life.start()
    life.spawned()
    assert due(life.spec, life.slot) == 100.0 + 100.0 + 5.0
    life.draw = 0.75
    life.restart()
    assert due(life.spec, life.slot) == inf  # it leaves already
    life.exited(0)
    life.spawned()
    assert due(life.spec, life.slot) == 215.0


def test_the_rule_of_the_day_holds_for_those_that_live() -> None:
    assert due(SPEC, ready(1, 0.0, 0.5)) == 110.0
    assert due(WatcherSpec(name="w", cmd=("true",), max_age=50.0, max_age_variance=0.0), ready(1, 0.0, 0.5)) == 50.0
    assert due(WatcherSpec(name="w", cmd=("true",)), ready(1, 0.0)) == inf


def test_an_age_may_be_short() -> None:
    assert due(WatcherSpec(name="w", cmd=("true",), max_age=0.5, max_age_variance=0.0), ready(1, 7.0)) == 7.5


def test_who_stands_still_or_has_not_taken_over_yet_is_not_old() -> None:
    assert due(SPEC, ready(1, 0.0, frozen=True)) == inf
    assert due(SPEC, ready(1, 0.0, instead=Instead(wid=2, generation=1, reason="max-age", detail=""))) == inf
    assert due(SPEC, ready(1, 0.0, phase=Phase.STARTING)) == inf


def test_the_oldest_goes_first_and_the_next_look_is_when_the_next_one_is_old() -> None:
    slots = [ready(1, 20.0), ready(2, 0.0), ready(3, 30.0, 0.5)]
    assert old(SPEC, slots, {}, 120.0) == ([(2, 1), (1, 1)], 140.0)
    assert old(SPEC, slots, {}, 90.0) == ([], 100.0)


def test_one_that_could_not_be_replaced_is_tried_again_after_a_while() -> None:
    slots = [ready(1, 0.0)]
    assert old(SPEC, slots, {(1, 1): 100.0}, 100.0 + AGAIN - 1) == ([], 100.0 + AGAIN)
    assert old(SPEC, slots, {(1, 1): 100.0}, 100.0 + AGAIN) == ([(1, 1)], 100.0 + 2 * AGAIN)
    slow = WatcherSpec(name="w", cmd=("true",), max_age=100.0, backoff=Backoff(max=300.0))
    assert old(slow, slots, {(1, 1): 100.0}, 150.0) == ([], 400.0)
