"""CPU percent is what was used between two asks."""

from __future__ import annotations

import pytest

from circus_cg.arbiter.samples import Samples

LIFE = (1, 1)


def test_the_first_answer_is_the_average_of_the_life() -> None:
    assert Samples().percent("w", LIFE, 2.0, since=10.0, now=14.0) == pytest.approx(50)


def test_later_answers_are_of_the_time_between() -> None:
    samples = Samples()
    samples.percent("w", LIFE, 2.0, 10.0, 14.0)
    assert samples.percent("w", LIFE, 3.0, 10.0, 15.0) == pytest.approx(100)
    assert samples.percent("w", LIFE, 3.0, 10.0, 16.0) == 0


def test_two_asks_at_once_have_one_answer() -> None:
    samples = Samples()
    samples.percent("w", LIFE, 2.0, 10.0, 14.0)
    assert samples.percent("w", LIFE, 2.1, 10.0, 14.1) == pytest.approx(50)
    assert samples.percent("w", LIFE, 3.0, 10.0, 15.0) == pytest.approx(100)


def test_without_a_beginning_the_first_ask_only_begins() -> None:
    samples = Samples()
    assert samples.percent("w", (0, 0), 50.0, None, 14.0) is None
    assert samples.percent("w", (0, 0), 50.5, None, 15.0) == pytest.approx(50)


def test_another_life_begins_anew_and_the_dead_are_forgotten() -> None:
    samples = Samples()
    samples.percent("w", LIFE, 2.0, 10.0, 14.0)
    assert samples.percent("w", (1, 2), 0.5, 14.0, 15.0) == pytest.approx(50)
    samples.keep("w", {(1, 2)})
    assert samples.percent("w", LIFE, 4.0, 10.0, 20.0) == pytest.approx(40)


def test_a_host_that_does_not_tell_gets_no_number() -> None:
    assert Samples().percent("w", LIFE, None, 0.0, 1.0) is None
