"""A few dozen seeds; `./dev simulate --seed N` replays one, `./dev simulate --events N` plays as many as you like."""

from collections import Counter

import pytest

from tests.simulation.chance import play
from tests.simulation.pairs import POSSIBLE, Met


@pytest.mark.parametrize("seed", range(60))
def test_a_whole_arbiter_keeps_its_promises_in_a_hostile_world(seed: int) -> None:
    play(seed, steps=500)


def test_a_seed_tells_the_same_story_twice() -> None:
    assert list(play(7, steps=200).story) == list(play(7, steps=200).story)


def test_every_event_that_can_meet_a_phase_meets_it() -> None:
    met: Met = Counter()
    for seed in range(300):
        met += play(seed, steps=500).met
        if not POSSIBLE - met.keys():
            return
    pytest.fail(f"never met: {POSSIBLE - met.keys()}")
