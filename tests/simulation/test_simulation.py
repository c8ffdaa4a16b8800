"""A few dozen seeds; `python -m tests.simulation --seed N --steps M` replays one."""

import pytest

from tests.simulation.world import play


@pytest.mark.parametrize("seed", range(60))
def test_a_whole_arbiter_keeps_its_promises_in_a_hostile_world(seed: int) -> None:
    play(seed, steps=500)


def test_a_seed_tells_the_same_story_twice() -> None:
    assert play(7, steps=200).story == play(7, steps=200).story
