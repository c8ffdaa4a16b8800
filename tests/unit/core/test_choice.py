"""Which watchers an operator means."""

from __future__ import annotations

import pytest

from circus_cg.core.choice import COMPARED, LONGEST, MOST, Choice, choose, meaning, nearest

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


def test_of_no_names_at_all_everybody_is_meant() -> None:
    assert meaning(None, "glob")("any") is True
    assert meaning([], "glob")("any") is False


@pytest.mark.parametrize("match", ["glob", "regex"])
def test_a_request_may_have_so_many_patterns_of_such_a_length(match: str) -> None:
    longest = "w" + "b" * (LONGEST - 3) + ".*"
    assert choose(KNOWN, ["w.*" if match == "regex" else "w*"] * MOST, match).missing == []
    assert choose(KNOWN, [longest], match).missing == [longest]
    assert meaning(["w.*" if match == "regex" else "w*"] * MOST, match)("web")
    assert not meaning([longest], match)("web")


@pytest.mark.parametrize(("written", "match"), [("MA*", "glob"), ("ma*", "glob"), ("MA.*", "regex"), ("ma.*", "regex")])
def test_case_is_no_obstacle_to_a_pattern(written: str, match: str) -> None:
    assert choose(KNOWN, [written], match).names == ["Mail"]
    assert meaning([written], match)("Mail")


def test_a_broken_expression_is_told_in_words() -> None:
    with pytest.raises(ValueError, match=r"^'\(' is no regular expression: missing \): \($"):
        choose(KNOWN, ["("], "regex")


def test_among_very_many_names_only_those_that_begin_alike_are_near() -> None:
    many = [f"a{number:03}" for number in range(COMPARED)]
    assert nearest([*many[1:], "q-worker"], "x-worker") == "q-worker"
    assert nearest([*many, "q-worker"], "x-worker") is None
    assert nearest([*many, "q-worker"], "q-workr") == "q-worker"
    assert nearest([*many, "Q-Worker"], "q-workr") == "Q-Worker"
    assert nearest([*many, "a-worker"], "a-workr") is None  # it is not among the first so many
