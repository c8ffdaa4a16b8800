"""Units: what an operator writes becomes the number that was meant, or a message that says what was expected."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg import units

PARSERS: list[Callable[[Any], object]] = [
    units.parse_bytes,
    units.parse_cpus,
    units.parse_seconds,
    units.parse_umask,
    units.parse_rlimit,
    units.parse_count,
    units.parse_integer,
    units.parse_float,
    units.parse_bool,
    units.signal_number,
]


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        (4096, 4096),
        ("1K", 1024),
        ("512M", 512 << 20),
        ("512m", 512 << 20),
        ("1.5G", 3 << 29),
        ("2T", 2 << 40),
        ("64KiB", 64 << 10),
        ("64Ki", 64 << 10),
        ("64 MB", 64 << 20),
        ("7B", 7),
        (".5G", 1 << 29),
    ],
)
def test_sizes_are_powers_of_1024(written: str | int, size: int) -> None:
    assert units.parse_bytes(written) == size


@pytest.mark.parametrize(
    ("written", "cpus"), [("1.5", 1.5), (1.5, 1.5), ("150%", 1.5), ("2", 2.0), (2, 2.0), ("1%", 0.01)]
)
def test_cpus_are_a_number_or_a_percentage_of_one(written: str | float, cpus: float) -> None:
    assert units.parse_cpus(written) == cpus


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("500ms", 0.5),
        ("1m", 60),
        ("2h", 7200),
        ("1d", 86400),
        ("1m30s", 90),
        ("1.5", 1.5),
        (0.25, 0.25),
        (3, 3),
    ],
)
def test_a_time_is_seconds_unless_its_unit_says_otherwise(written: str | float, seconds: float) -> None:
    assert units.parse_seconds(written) == seconds


def test_a_time_of_a_thousand_parts_is_none() -> None:
    assert units.parse_seconds("1s" * 100) == 100.0
    with pytest.raises(ValueError, match="expected a time such as 30s"):
        units.parse_seconds("1s" * 101)


@pytest.mark.parametrize(("written", "mask"), [("022", 0o22), ("0o077", 0o77), ("0", 0), ("777", 0o777)])
def test_a_mask_is_octal_as_it_is_written(written: str, mask: int) -> None:
    assert units.parse_umask(written) == mask


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("TERM", signal.SIGTERM),
        ("SIGTERM", signal.SIGTERM),
        ("term", signal.SIGTERM),
        ("15", signal.SIGTERM),
        (15, signal.SIGTERM),
        ("SIGRTMIN+2", signal.SIGRTMIN + 2),
        ("RTMAX-1", signal.SIGRTMAX - 1),
        ("RTMIN", signal.SIGRTMIN),
    ],
)
def test_a_signal_goes_by_name_or_number(written: str | int, number: int) -> None:
    assert units.signal_number(written) == number


@pytest.mark.parametrize(
    ("written", "limit"), [("infinity", None), (-1, None), ("1024", 1024), (0, 0), ("8M", 8 << 20)]
)
def test_a_resource_limit_may_be_infinite(written: str | int, limit: int | None) -> None:
    assert units.parse_rlimit(written) == limit


@pytest.mark.parametrize(
    ("parse", "written", "expected"),
    [
        (units.parse_bytes, "512X", "512M"),
        (units.parse_bytes, "-1", "512M"),
        (units.parse_bytes, "0.5", "whole number of bytes"),
        (units.parse_bytes, "9999999999T", "at most"),
        (units.parse_bytes, "", "512M"),
        (units.parse_bytes, True, "512M"),
        pytest.param(units.parse_bytes, 10**400, "512M", id="bytes-beyond-a-float"),
        (units.parse_bytes, "٣", "512M"),
        (units.parse_cpus, "nan", "150%"),
        (units.parse_cpus, float("inf"), "150%"),
        (units.parse_seconds, "1y", "500ms"),
        (units.parse_seconds, "-3s", "500ms"),
        (units.parse_seconds, "1e3", "500ms"),
        pytest.param(units.parse_seconds, -(10**400), "500ms", id="seconds-beyond-a-float"),
        (units.parse_umask, "018", "octal"),
        (units.parse_umask, "1777", "octal"),
        (units.parse_integer, "010", "whole number"),
        (units.parse_integer, "1.0", "whole number"),
        (units.parse_count, "-1", "not negative"),
        (units.parse_bool, "maybe", "true or false"),
        (units.parse_rlimit, "much", "infinity"),
        (units.signal_number, "0", "signal"),
        (units.signal_number, "65", "signal"),
        pytest.param(units.signal_number, 10**400, "signal", id="signal-beyond-a-float"),
        (units.signal_number, "SIGNONE", "signal"),
        (units.signal_number, "RTMIN+99", "signal"),
        (units.signal_number, "RTMAX+1", "signal"),
    ],
)
def test_what_is_wrong_is_told_with_what_was_expected(
    parse: Callable[[Any], object], written: Any, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        parse(written)


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text())
def test_no_text_breaks_a_parser(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError as wrong:
        assert "expected" in str(wrong)


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1K"),
        (1536, "1.5K"),
        (64 << 20, "64M"),
        ((1 << 30) - 1, "1G"),
        (1 << 50, "1024T"),
    ],
)
def test_a_size_is_short_to_read(size: int, written: str) -> None:
    assert units.format_bytes(size) == written


@given(st.integers(0, 2**50))
def test_a_written_size_reads_as_nearly_the_same(size: int) -> None:
    assert abs(units.parse_bytes(units.format_bytes(size)) - size) <= size * 0.05


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (0.25, "0.25s"),
        (0.5, "0.5s"),
        (12.4, "12s"),
        (60, "1m"),
        (200, "3m20s"),
        (3599.9, "1h"),
        (7500, "2h5m"),
        (90000, "1d1h"),
    ],
)
def test_a_time_is_short_to_read(seconds: float, written: str) -> None:
    assert units.format_seconds(seconds) == written


@given(st.floats(0, 1e9))
def test_a_written_time_reads_as_nearly_the_same(seconds: float) -> None:
    assert units.parse_seconds(units.format_seconds(seconds)) == pytest.approx(seconds, rel=0.05, abs=0.01)
