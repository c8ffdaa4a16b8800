"""Which watchers an operator means."""

from __future__ import annotations

import pytest

from circus_cg.core.choice import LONGEST, MOST, Choice, choose, meaning, nearest

KNOWN = ["web", "worker-1", "worker-2", "Mail"]


@pytest.mark.parametrize(
    ("written", "match", "names"),
    [
        (["web"], "simple", ["web"]),
        (["mail"], "simple", ["Mail"]),
        (["worker-2", "web"], "simple", ["web", "worker-2"]),
        (["w*"], "glob", ["web", "worker-1", "worker-2"]),
        (["*1", "w?b", "web"], "glob", ["web", "worker-1"]),
        (["MAIL"], "glob", ["Mail"]),
        (["worker-[0-9]$"], "regex", ["worker-1", "worker-2"]),
        ([".*"], "regex", KNOWN),
    ],
)
def test_names_are_found_in_the_daemons_order(written: list[str], match: str, names: list[str]) -> None:
    assert choose(KNOWN, written, match) == Choice(names, [])


@pytest.mark.parametrize(("written", "match"), [("w*", "simple"), ("x*", "glob"), ("eb", "regex"), ("", "simple")])
def test_what_means_nobody_is_told(written: str, match: str) -> None:
    assert choose(KNOWN, ["web", written], match) == Choice(["web"], [written])


def test_a_name_in_its_own_case_is_meant_before_another() -> None:
    assert choose(["a", "A"], ["A"], "simple").names == ["A"]


def test_a_broken_expression_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        choose(KNOWN, ["("], "regex")


def test_of_a_broken_expression_no_more_than_its_beginning_is_told() -> None:
    with pytest.raises(ValueError, match=f"'{'x' * 60}' is no regular expression"):
        choose(KNOWN, ["x" * 100 + "("], "regex")


@pytest.mark.parametrize(
    ("written", "match", "names"),
    [
        ("(a|a)*$", "regex", ["a" * 64]),
        ("(a+)+$", "regex", ["a" * 64]),
        ("(.*)(.*)(.*)(.*)(.*)b$", "regex", []),
        ("*a*a*a*a*a*a*a*a*a*a*a*a*b", "glob", []),
    ],
)
def test_no_pattern_takes_longer_than_its_names(written: str, match: str, names: list[str]) -> None:
    """Each of these would keep a matcher that goes back and forth busy for years."""
    assert choose(["a" * 63 + "!", "a" * 64], [written], match).names == names
    assert not meaning([written], match)("a" * 63 + "!")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (["((((a{100}){100}){100}){100})"], "repetition"),
        (["(?=a)"], "no regular expression"),
        (["a" * (LONGEST + 1)], "over 512 characters"),
        (["a.*"] * (MOST + 1), f"over {MOST} patterns"),
        (["\ud800"], "no regular expression"),
    ],
)
def test_what_an_expression_may_not_is_an_error_that_says_so(written: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        choose(KNOWN, written, "regex")
    with pytest.raises(ValueError, match=why):
        meaning(written, "regex")


def test_there_may_be_any_number_of_plain_names() -> None:
    many = [f"worker-{number}" for number in range(100_000)]
    found = choose(KNOWN, many, "glob")
    assert found.names == ["worker-1", "worker-2"] and len(found.missing) == 99_998
    assert meaning(many, "glob")("WORKER-7") and not meaning(many, "glob")("web")


def test_a_slip_has_a_nearest_name() -> None:
    assert nearest(KNOWN, "wbe") == "web"
    assert nearest(KNOWN, "MAILS") == "Mail"
    assert nearest(KNOWN, "zzz") is None
    assert nearest([f"x{number}" for number in range(1000)] + KNOWN, "wbe") == "web"
