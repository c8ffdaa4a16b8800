"""Which watchers an operator means."""

from __future__ import annotations

import pytest

from circus_cg.core.choice import Choice, choose, nearest

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
    with pytest.raises(ValueError, match=f"'{'x' * 60}' is no regular expression: "):
        choose(KNOWN, ["x" * 1000 + "("], "regex")


def test_a_slip_has_a_nearest_name() -> None:
    assert nearest(KNOWN, "wbe") == "web"
    assert nearest(KNOWN, "MAILS") == "Mail"
    assert nearest(KNOWN, "zzz") is None
