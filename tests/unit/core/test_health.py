"""How answers become a verdict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.health import Tally, begun, judged, window
from circus_cg.spec import HealthCheck


def verdicts(check: HealthCheck, answers: str) -> str:
    """`+` a good answer, `-` a bad one -> after each: `.` passing, `X` failing."""
    tally, told = begun(check), ""
    for answer in answers:
        tally = judged(check, tally, answer == "+")
        told += "X" if tally.failing else "."
    return told


@pytest.mark.parametrize(
    ("options", "answers", "told"),
    [
        ({}, "---", "..X"),
        ({}, "--+--", "....."),
        ({}, "--+---", ".....X"),
        ({"failures": 1}, "+-", ".X"),
        ({"failures": 3, "window": 5}, "-+-+-", "....X"),
        ({"failures": 3, "window": 5}, "-++--", "....X"),
        ({"failures": 3, "window": 5}, "-+++--", "......"),
        ({"failures": 2, "window": 4}, "--+", ".X."),
        ({"failures": 1, "successes": 3}, "-++-+++", "XXXXXX."),
        ({"failures": 2, "window": 4}, "--+-", ".X.."),  # what led to the first verdict counts for no other one
    ],
)
def test_a_liveness_check_fails_by_n_of_m(options: dict[str, Any], answers: str, told: str) -> None:
    assert verdicts(HealthCheck(name="c", tcp="1", **options), answers) == told


def test_a_readiness_check_is_failing_until_it_is_passed() -> None:
    check = HealthCheck(name="c", kind="readiness", tcp="1", failures=2, successes=2)
    assert begun(check).failing
    assert verdicts(check, "-+-++--++") == "XXXX..XX."


@given(st.integers(1, 5), st.integers(0, 5), st.integers(1, 4), st.lists(st.booleans(), max_size=60), st.booleans())
def test_no_more_answers_are_kept_than_can_matter(
    failures: int, more: int, successes: int, answers: list[bool], readiness: bool
) -> None:
    kind = "readiness" if readiness else "liveness"
    check = HealthCheck(name="c", kind=kind, tcp="1", failures=failures, window=failures + more, successes=successes)
    tally: Tally = begun(check)
    for at, answer in enumerate(answers):
        before, tally = tally, judged(check, tally, answer)
        assert len(tally.answers) <= max(window(check), successes)
        if tally.failing and not before.failing:
            assert not answer
        if before.failing and not tally.failing:
            assert all(answers[at + 1 - successes : at + 1])
