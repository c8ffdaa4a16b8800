"""Text with units <-> plain numbers: bytes are int, CPUs and seconds are float.

Each `parse_*` takes what somebody wrote, text or a number, and raises ValueError naming what it expected.
"""

from __future__ import annotations

import math
import re
import signal
from fractions import Fraction

MAX_INT = 2**63 - 1  # what the kernel's files and the wire hold

MAX_IN_RANGE = 65535  # CPUs and memory nodes
LONGEST_DURATION = 200  # characters: a megabyte of them takes seconds to add up

_NUMBER = r"([0-9]{1,19}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_BYTES = re.compile(_NUMBER + r" ?(?:([kmgt])(?:i?b?)|b)?", re.IGNORECASE)
_CPUS = re.compile(_NUMBER + " ?(%?)")
_SECONDS = re.compile(_NUMBER)
_DURATION = re.compile(_NUMBER + r" ?(ms|s|m|h|d)")
_DURATIONS = re.compile(rf"(?:{_NUMBER} ?(?:ms|s|m|h|d) ?)+")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?" + _NUMBER)
_UMASK = re.compile(r"(?:0o)?[0-7]{1,4}")
_RANGES = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*")
_REAL_TIME = re.compile(r"(RTMIN|RTMAX)(?:([-+])([0-9]{1,2}))?")

_SCALE = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LENGTH = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


def parse_bytes(value: str | float) -> int:
    """`512M`, `1.5G`, `64KiB`, `4096`: K, M, G and T are powers of 1024, whatever follows them."""
    expected = "bytes such as 512M, 1.5G or a number"
    found = _BYTES.fullmatch(_text(value, expected))
    if found is None:
        raise _wrong(value, expected)
    size = Fraction(found[1]) * _SCALE[(found[2] or "").upper()]
    if not found[2] and size.denominator != 1:
        raise _wrong(value, "a whole number of bytes")
    return _bounded(value, int(size))


def parse_cpus(value: str | float) -> float:
    """`1.5` or `150%` of a CPU's time."""
    expected = "CPUs such as 1.5 or 150%"
    found = _CPUS.fullmatch(_text(value, expected))
    if found is None:
        raise _wrong(value, expected)
    return float(Fraction(found[1]) / (100 if found[2] else 1))


def parse_seconds(value: str | float) -> float:
    """`30s`, `500ms`, `1m30s`, `2h`, `1d`, or a number of seconds."""
    expected = "a time such as 30s, 500ms, 2m or a number of seconds"
    text = _text(value, expected)
    if _SECONDS.fullmatch(text):
        return float(text)
    if len(text) > LONGEST_DURATION or _DURATIONS.fullmatch(text) is None:
        raise _wrong(value, expected)
    return float(sum(Fraction(count) * _LENGTH[unit] for count, unit in _DURATION.findall(text)))


def parse_umask(value: str) -> int:
    """Octal text such as `022`."""
    found = _UMASK.fullmatch(value)
    mask = int(found[0].removeprefix("0o"), 8) if found else -1
    if not 0 <= mask <= 0o777:
        raise _wrong(value, "an octal mask from 000 to 777 such as 022")
    return mask


def signal_number(value: str | int) -> int:
    """`TERM`, `SIGTERM`, `15`, `SIGRTMIN+2`."""
    expected = "a signal such as TERM, SIGRTMIN+2 or a number"
    text = _text(value, expected).upper().removeprefix("SIG")
    names = {known.name.removeprefix("SIG"): int(known) for known in signal.Signals}
    if _INTEGER.fullmatch(text):
        number = int(text)
    elif found := _REAL_TIME.fullmatch(text):
        number = names[found[1]] + int((found[2] or "") + (found[3] or "0"))
        if number not in range(names["RTMIN"], names["RTMAX"] + 1):
            raise _wrong(value, expected)
    else:
        number = names.get(text, 0)
    if number not in signal.valid_signals():
        raise _wrong(value, expected)
    return number


def parse_rlimit(value: str | int) -> int | None:
    """A count, a size or seconds, as the limit has it; None for `infinity`."""
    if str(value) in ("infinity", "unlimited", "-1"):
        return None
    try:
        return parse_bytes(value)
    except ValueError as wrong:
        raise _wrong(value, "infinity, a number, or a size such as 8M") from wrong


def parse_count(value: str | int) -> int:
    """A whole decimal number that is not negative."""
    number = parse_integer(value)
    if number < 0:
        raise _wrong(value, "a whole number that is not negative")
    return number


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """`0-3,5` -> (first, last) of each range, as the kernel's list format has it."""
    expected = "numbers and ranges such as 0-3,5"
    if _RANGES.fullmatch(text) is None:
        raise _wrong(text, expected)
    ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    if not all(one[0] <= one[-1] <= MAX_IN_RANGE for one in ends):
        raise _wrong(text, f"{expected}, none above {MAX_IN_RANGE}")
    return [(one[0], one[-1]) for one in ends]


def parse_integer(value: str | int) -> int:
    """A whole decimal number; no leading zero, which elsewhere would mean octal."""
    expected = "a whole number"
    text = _text(value, expected)
    if _INTEGER.fullmatch(text) is None:
        raise _wrong(value, expected)
    return _bounded(value, int(text))


def parse_float(value: str | float) -> float:
    expected = "a number"
    text = _text(value, expected)
    if _FLOAT.fullmatch(text) is None:
        raise _wrong(value, expected)
    return float(text)


def parse_bool(value: str | bool) -> bool:
    if isinstance(value, bool):
        return value
    text = value.lower()
    if text not in _TRUE + _FALSE:
        raise _wrong(value, "true or false")
    return text in _TRUE


def format_bytes(size: int) -> str:
    """At most one decimal: `1.5G`, `64M`, `512`."""
    value, unit = float(size), ""
    for unit in _SCALE:  # noqa: B007 - the unit where the loop ends is the answer
        if abs(value) < 1023.95:  # 1023.95 would be written 1024.0
            break
        value /= 1024
    else:
        value *= 1024
    return f"{value:.1f}".removesuffix(".0") + unit


def format_signal(number: int) -> str:
    """As signal_number() reads it: `TERM`, `RTMIN+2`."""
    if number in {int(one) for one in signal.Signals}:
        return signal.Signals(number).name.removeprefix("SIG")
    return f"RTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else str(number)


def format_seconds(seconds: float) -> str:
    """Two units at most: `0.25s`, `12s`, `3m20s`, `2h5m`, `4d3h`."""
    if seconds < 9.995:
        return f"{seconds:.2f}".rstrip("0").removesuffix(".") + "s"
    left = round(seconds)
    for (large, size), (small, next_size) in (
        (("d", 86400), ("h", 3600)),
        (("h", 3600), ("m", 60)),
        (("m", 60), ("s", 1)),
    ):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size}{large}" + (f"{rest}{small}" if rest else "")
    return f"{left}s"


def _text(value: str | float, expected: str) -> str:
    """What was written; a number as one would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):  # of any size: isfinite() takes none beyond a float
        return str(value)
    if isinstance(value, bool) or not math.isfinite(value):
        raise _wrong(value, expected)
    return f"{value:.9f}".rstrip("0")


def _bounded(value: object, number: int) -> int:
    if abs(number) > MAX_INT:
        raise _wrong(value, f"at most {MAX_INT}")
    return number


def _wrong(value: object, expected: str) -> ValueError:
    text = str(value)
    shown = text if len(text) <= 60 else text[:60] + "..."
    return ValueError(f"{shown!r} is wrong; expected {expected}")
