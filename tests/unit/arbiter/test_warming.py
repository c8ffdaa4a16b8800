"""Workers of one watcher begin one after the other: what is for now, and when the rest is asked for again."""

import asyncio
from collections.abc import Callable

from circus_cg.arbiter.warming import Warming
from circus_cg.core.events import Restart, Start, Stop
from circus_cg.core.slot import Phase, Slot
from circus_cg.core.watcher import Decisions

THREE: Decisions = ((1, Start), (2, Start), (3, Start))


def played(story: Callable[[Warming, list[int]], None]) -> None:
    async def play() -> None:
        asked: list[int] = []
        warming = Warming(lambda: asked.append(1))
        story(warming, asked)
        warming.close()

    asyncio.run(play())


def test_without_a_delay_all_begin() -> None:
    played(lambda warming, _: check(warming.pace(0.0, THREE, {}) == THREE and not warming.is_waiting))


def test_the_first_begins_and_the_rest_is_waited_for() -> None:
    def story(warming: Warming, _: list[int]) -> None:
        check(warming.pace(100.0, THREE, {}) == ((1, Start),))
        check(warming.is_waiting)
        check(warming.pace(100.0, THREE[1:], {}) == ())
        check(warming.is_waiting)

    played(story)


def test_what_is_no_growth_is_for_now_and_ends_no_wait_by_itself() -> None:
    there = {1: Slot(wid=1, wanted=True, phase=Phase.FAILED)}

    def story(warming: Warming, _: list[int]) -> None:
        warming.pace(100.0, THREE, {})
        check(warming.pace(100.0, ((1, Start), (2, Start)), there) == ((1, Start),))
        check(warming.is_waiting)
        check(warming.pace(100.0, ((1, Restart),), there) == ((1, Restart),))
        check(not warming.is_waiting)  # a decision for the whole set: nobody is missing

    played(story)


def test_a_stop_ends_the_wait() -> None:
    def story(warming: Warming, _: list[int]) -> None:
        warming.pace(100.0, THREE, {})
        check(warming.pace(100.0, ((1, Stop),), {1: Slot(wid=1, wanted=True)}) == ((1, Stop),))
        check(not warming.is_waiting)

    played(story)


def check(holds: bool) -> None:
    assert holds
