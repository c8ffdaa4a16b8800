"""A reference is replaced in both spellings and any case; what is unknown stays as written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.config.substitution import references, size, substitute

VALUES = {"wid": "3", "env.home": "/root", "my-option": "$(circus.wid)"}


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("serve --port 80$(circus.wid)", "serve --port 803"),
        ("serve ((circus.wid))", "serve 3"),
        ("$(CIRCUS.Env.Home)/x", "/root/x"),
        ("((Circus.ENV.HOME))((circus.wid))", "/root3"),
        ("$(circus.env.nobody) ((circus.sockets.web))", "$(circus.env.nobody) ((circus.sockets.web))"),
        ("$HOME ${HOME} $(date) (circus.wid) $(wid) $(circus.) $(circus.w id)", None),
        ("$(circus.my-option)", "$(circus.wid)"),  # once only
        ("", ""),
    ],
)
def test_what_is_known_is_replaced_once_and_the_rest_stays(text: str, replaced: str | None) -> None:
    expected = text if replaced is None else replaced
    assert substitute(text, VALUES) == expected
    assert size(text, VALUES) == len(expected)


def test_references_are_told_as_they_are_written_first() -> None:
    text = "$(circus.Sockets.Web) ((circus.wid)) $(circus.WID)"
    assert references(text) == {"sockets.web": "$(circus.Sockets.Web)", "wid": "((circus.wid))"}


@given(st.lists(st.sampled_from(["$(circus.", "((circus.", "wid", "env.home", ")", "))", "$", " ", "x"])).map("".join))
def test_the_size_is_known_before(text: str) -> None:
    assert size(text, VALUES) == len(substitute(text, VALUES))


def test_a_text_made_to_be_slow_is_not() -> None:
    began = time.monotonic()
    for text in ("$(circus." * 200_000, "((circus.wid" * 200_000, "$(circus." + "a" * 2_000_000):
        assert substitute(text, VALUES) == text
    assert time.monotonic() - began < 5
