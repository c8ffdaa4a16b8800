"""What somebody else wrote is one bounded line that no terminal obeys, wherever it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.line import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SIGTERM", "SIGTERM"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("a\nb\r\nc\td", "a b  c d"),
        ("\x1b[2Jred\x07", "[2Jred"),
        ("c1 \x9b31m", "c1  31m"),
        ("over\u202eride", "over ride"),
        ("lone \udce9", "lone"),
        ("123456789", "12345678"),
        ("1234567\n9", "1234567"),
        ("", ""),
    ],
)
def test_what_can_not_be_printed_is_a_space_and_what_is_too_long_is_cut(text: str, line: str) -> None:
    assert one_line(text, max(8, len(line))) == line


@given(st.text(st.characters()), st.integers(0, 100))
def test_whatever_it_is_it_can_be_printed_and_sent(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert line.isprintable() and len(line) <= longest
    line.encode()
