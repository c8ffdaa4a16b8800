"""Lists written as one string: a command, the steps of a stop, exit statuses."""

from __future__ import annotations

import re
import shlex

from circus_cg import units
from circus_cg.spec import StopStep

_SEPARATORS = re.compile(r"[,\s]+")
_NUMBER = re.compile("[0-9]{1,10}")

MAX_COMMAND = 128 << 10  # characters; the kernel takes no longer argument either


def command_words(text: str) -> tuple[str, ...]:
    """Split as a POSIX shell would; nothing is expanded. Raises ValueError."""
    if len(text) > MAX_COMMAND:
        raise ValueError(f"{len(text)} characters are too many; expected at most {MAX_COMMAND}, or a list")
    try:
        return tuple(shlex.split(text))
    except ValueError as wrong:
        raise ValueError(
            f"{text[:60]!r} can't be split into words ({wrong}); close the quotes, or write a list"
        ) from wrong


def stop_step(text: str) -> StopStep:
    """`TERM 10s`. Raises ValueError."""
    signal, blank, wait = text.strip().partition(" ")
    if not blank:
        raise ValueError(f"{text[:60]!r} is wrong; expected a signal and the seconds it has, such as TERM 10s")
    return StopStep(units.signal_number(signal), units.parse_seconds(wait.strip()))


def stop_steps(text: str) -> tuple[StopStep, ...]:
    """`TERM 10s, INT 5s`. Raises ValueError."""
    return tuple(stop_step(one) for one in text.split(",")) if text.strip() else ()


def exit_statuses(text: str) -> tuple[int | str, ...]:
    """`75 TERM`: numbers are codes, names are signals."""
    words = [word for word in _SEPARATORS.split(text) if word]
    return tuple(int(word) if _NUMBER.fullmatch(word) else word for word in words)
