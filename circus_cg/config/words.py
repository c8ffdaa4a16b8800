"""A command written as one string."""

from __future__ import annotations

import shlex

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
