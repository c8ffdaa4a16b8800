"""However many long answers are under way, little is done between two looks at the sockets."""

from __future__ import annotations

import asyncio

from circus_cg.arbiter.pace import SLICE, Pace

PIECE = SLICE / 4  # seconds that each piece of an answer takes


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def answer(pace: Pace, clock: Clock, pieces: int, done: list[str], name: str) -> None:
    for _ in range(pieces):
        await pace.rest()
        clock.now += PIECE
        done.append(name)


async def turns(clock: Clock, most: int) -> list[float]:
    """Seconds of work between each two turns of the loop."""
    found, last = [], clock.now
    for _ in range(most):
        await asyncio.sleep(0)
        found.append(clock.now - last)
        last = clock.now
    return found


def test_no_turn_has_more_than_a_slice_of_however_many_answers() -> None:
    async def scene() -> list[float]:
        clock, done = Clock(), list[str]()
        pace = Pace(clock)
        looking = asyncio.create_task(turns(clock, 4000))
        await asyncio.gather(*(answer(pace, clock, 40, done, str(n)) for n in range(50)))
        assert len(done) == 2000
        return await looking

    found = asyncio.run(scene())
    assert max(found) <= SLICE + 2 * PIECE
    assert sum(found) > 2000 * PIECE * 0.99


def test_answers_take_turns() -> None:
    async def scene() -> list[str]:
        clock, done = Clock(), list[str]()
        pace = Pace(clock)
        await asyncio.gather(*(answer(pace, clock, 40, done, name) for name in "abc"))
        return done

    done = asyncio.run(scene())
    last = {name: len(done) - 1 - done[::-1].index(name) for name in "abc"}
    assert min(last.values()) > len(done) * 0.75, "one was finished long before the others"


def test_a_short_answer_alone_waits_for_nothing() -> None:
    async def scene() -> int:
        clock, done = Clock(), list[str]()
        looking = asyncio.create_task(asyncio.sleep(0))
        await answer(Pace(clock), clock, 4, done, "a")
        return int(looking.done())

    assert asyncio.run(scene()) == 0
