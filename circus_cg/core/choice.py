"""Which of the known names are meant by what an operator wrote."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple


class Choice(NamedTuple):
    """`names` in the order in which they are known; `missing`: what was written and means none of them."""

    names: list[str]
    missing: list[str]


def choose(known: Collection[str], written: Iterable[str], match: str) -> Choice:
    """`match`: simple, glob or regex. Names differ in more than case, so case is no obstacle.

    Raises ValueError, which says what is wrong with a regular expression.
    """
    chosen: set[str] = set()
    missing = []
    for one in written:
        meant = _meaning(one, match)
        found = {name for name in known if name == one} or {name for name in known if meant(name)}
        chosen |= found
        if not found:
            missing.append(one)
    return Choice([name for name in known if name in chosen], missing)


def meaning(written: Iterable[str] | None, match: str) -> Callable[[str], bool]:
    """Whether a name, known now or later, is among those that are meant; None means every one. Raises ValueError."""
    if written is None:
        return lambda name: True
    meant = [_meaning(one, match) for one in written]
    return lambda name: any(means(name) for means in meant)


def nearest(known: Collection[str], written: str) -> str | None:
    """The one that was probably meant."""
    by_fold = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(written[:64].casefold(), by_fold, n=1)
    return by_fold[close[0]] if close else None


def _meaning(written: str, match: str) -> Callable[[str], bool]:
    if match == "simple":
        return lambda name: name.casefold() == written.casefold()
    text = fnmatch.translate(written) if match == "glob" else written
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as wrong:
        raise ValueError(f"{written[:60]!r} is no regular expression: {wrong}") from wrong
    return lambda name: pattern.match(name) is not None
