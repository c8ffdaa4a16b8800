"""References in circus's two spellings are replaced; what a shell would expand is not ours to touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.config.substitution import substitute, unknown

VALUES = {"wid": "3", "env.HOME": "/srv", "env.home": "/low"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("worker-$(circus.wid)", "worker-3"),
        ("((circus.wid))/$(circus.env.HOME)", "3//srv"),
        ("$(CIRCUS.WID) $(circus.Wid)", "3 3"),
        ("$(circus.env.HOME) $(circus.env.home)", "/srv /low"),
        ("$(circus.nothing) ((circus.nothing))", "$(circus.nothing) ((circus.nothing))"),
        ("$HOME ${HOME} $(date) $$ (circus.wid) $(circus.wid", "$HOME ${HOME} $(date) $$ (circus.wid) $(circus.wid"),
    ],
)
def test_a_known_reference_is_replaced_and_the_rest_stays_as_written(text: str, meant: str) -> None:
    assert substitute(text, VALUES) == meant


def test_a_value_is_not_searched_for_references() -> None:
    assert substitute("$(circus.a)", {"a": "$(circus.b)", "b": "x"}) == "$(circus.b)"


def test_what_is_unknown_is_named_as_written() -> None:
    assert unknown("$(circus.WID) $(circus.env.Nope) ((circus.env.Nor)) $(date)", VALUES) == ["env.Nope", "env.Nor"]


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_a_text_without_references_stays(text: str, values: dict[str, str]) -> None:
    assert substitute(text.replace("circus", ""), values) == text.replace("circus", "")
