"""Roles and globs."""

from __future__ import annotations

import pytest

from circus_cg.core.access import LOCAL, Caller, Role, role_of


def test_a_role_may_what_those_below_it_may() -> None:
    for own in Role:
        assert [Caller("x", own).may(role) for role in Role] == [role <= own for role in Role]


@pytest.mark.parametrize("word", ["observe", "operate", "admin"])
def test_a_role_is_read_by_its_word(word: str) -> None:
    assert role_of(word).word == word


@pytest.mark.parametrize("word", ["", "root", "Admin", "observe "])
def test_another_word_is_no_role(word: str) -> None:
    with pytest.raises(ValueError, match="expected one of observe, operate, admin"):
        role_of(word)


def test_of_what_is_no_role_no_more_than_a_word_is_told() -> None:
    with pytest.raises(ValueError, match=f"'{'x' * 20}' is no role; expected one of observe, operate, admin"):
        role_of("x" * 1000)


@pytest.mark.parametrize(
    ("globs", "name", "seen"),
    [
        ((), "any", True),
        (("web-*",), "web-1", True),
        (("web-*",), "WEB-1", True),
        (("web-*",), "web", False),
        (("web-*",), "xweb-1", False),
        (("web", "db"), "db", True),
        (("web",), "web2", False),
        (("[!w]*",), "db", True),
        (("[!w]*",), "web", False),
        (("web",), "web\n", False),
    ],
)
def test_globs_say_which_watchers_are_seen(globs: tuple[str, ...], name: str, seen: bool) -> None:
    assert Caller("x", Role.OPERATE, globs).sees(name) is seen


def test_the_local_endpoint_may_all() -> None:
    assert LOCAL.may(Role.ADMIN) and LOCAL.sees("anything")
