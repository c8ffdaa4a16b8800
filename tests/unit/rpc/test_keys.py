"""The text of keys: each line by itself, comments kept, nothing given by what can't be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.access import LOCAL, Caller, Role
from circus_cg.rpc.keys import (
    HEADER,
    KeyPair,
    read_authorized,
    read_pair,
    read_public,
    with_entry,
    without,
    write_pair,
    write_public,
)

A, B, C = (digit * 64 for digit in "abc")
TEXT = f"""\
# who may come
admin   alice  {A}   # since 2024
   # the night shift
operate bob    {B}  web-*,jobs

"""


def test_each_line_is_a_caller() -> None:
    assert read_authorized(TEXT) == (
        {A: Caller("alice", Role.ADMIN), B: Caller("bob", Role.OPERATE, ("web-*", "jobs"))},
        [],
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            f"root eve {C}",
            f"admin {C}",
            "admin eve",
            f"admin eve {C} web db",
            f"admin ../eve {C}",
            f"admin -eve {C}",
            f"admin local {C}",
        ),
        *(
            f"admin eve {C[1:]}",
            f"admin eve {C}0",
            f"admin eve {'g' * 64}",
            f"admin eve {C} w;x",
            f"admin eve {C} web,",
        ),
    ],
)
def test_a_line_that_is_wrong_gives_nothing_and_costs_the_others_nothing(line: str) -> None:
    found = read_authorized(f"{line}\n{TEXT}")
    assert found.callers == read_authorized(TEXT).callers
    assert [number for number, _ in found.problems] == [1]


@pytest.mark.parametrize("line", [f"admin carol {A}", f"admin alice {C}", f"admin alice {A}"])
def test_a_name_or_a_key_has_one_line_the_first(line: str) -> None:
    found = read_authorized(f"{TEXT}{line}\n")
    assert found.callers == read_authorized(TEXT).callers
    assert [number for number, _ in found.problems] == [6]


def test_a_key_in_capitals_is_the_same_key() -> None:
    assert read_authorized(f"admin a {A.upper()}").callers == {A: Caller("a", Role.ADMIN)}


def test_one_more_line_leaves_all_others_as_they_are() -> None:
    changed = with_entry(TEXT, C, Caller("eve", Role.OBSERVE, ("db",)))
    assert changed.startswith(TEXT)
    assert read_authorized(changed).callers[C] == Caller("eve", Role.OBSERVE, ("db",))


def test_a_file_without_a_last_newline_gets_one() -> None:
    changed = with_entry(TEXT.rstrip("\n"), C, Caller("eve", Role.OBSERVE))
    assert len(read_authorized(changed).callers) == 3


@pytest.mark.parametrize(("key", "name"), [(A, "eve"), (C, "alice")])
def test_what_is_there_is_not_added_again(key: str, name: str) -> None:
    with pytest.raises(ValueError, match="line 2 has 'alice'"):
        with_entry(TEXT, key, Caller(name, Role.ADMIN))


def test_a_line_taken_out_leaves_comments_and_mistakes_where_they_are() -> None:
    broken = f"{TEXT}admin nobody\n"
    assert without(broken, "alice") == broken.replace(f"admin   alice  {A}   # since 2024\n", "")
    with pytest.raises(KeyError):
        without(broken, "nobody")


NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,20}", fullmatch=True).filter(lambda name: name != LOCAL.name)
KEYS = st.text("0123456789abcdef", min_size=64, max_size=64)
CALLERS = st.builds(
    Caller, NAMES, st.sampled_from(list(Role)), st.lists(st.sampled_from(["web-*", "db", "[!a]?"])).map(tuple)
)


@given(st.dictionaries(KEYS, CALLERS, max_size=5))
def test_what_is_written_is_read_back_and_taken_out_again(callers: dict[str, Caller]) -> None:
    wanted = {key: one for i, (key, one) in enumerate(callers.items())
              if one.name not in [other.name for other in list(callers.values())[:i]]}  # fmt: skip
    text = HEADER
    for key, caller in wanted.items():
        text = with_entry(text, key, caller)
    assert read_authorized(text) == (wanted, [])
    for caller in wanted.values():
        text = without(text, caller.name)
    assert text == HEADER


@given(st.text(max_size=300))
def test_whatever_stands_there_is_read_or_told(text: str) -> None:
    found = read_authorized(text)
    assert all(len(key) == 64 for key in found.callers)


PAIR = KeyPair("alice", A, B)


def test_a_pair_is_read_back() -> None:
    assert read_pair(write_pair(PAIR)) == PAIR
    assert read_public(write_public(PAIR)) == read_public(write_pair(PAIR)) == A


def test_what_is_for_others_has_no_secret() -> None:
    assert B not in write_public(PAIR) and B not in repr(PAIR)


@pytest.mark.parametrize(
    "text", ["", "name alice\n", f"name alice\npublic {A}\n", f"name a\npublic {A}\nsecret {B[1:]}\n", "secret x\n" * 3]
)
def test_half_a_pair_is_refused_without_its_secret_in_the_message(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_pair(text)
    assert B[1:] not in str(refused.value)
