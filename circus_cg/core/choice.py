"""Which of the known names are meant by what an operator wrote.

Whoever may ask may write any pattern, so none may take longer than there are names: as many patterns as a request may
have, and expressions by RE2, which goes through a name once, whatever they are.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

MOST = 16  # patterns in one request, a millisecond each for 1,000 names; of plain names there may be any number
COMPARED = 200  # names; 1,000 that are alike would take 15 ms
LONGEST = 512  # characters of a pattern
MEMORY = 256 << 10  # bytes that RE2 may take for one expression
SPECIAL = frozenset("*?[")


class Choice(NamedTuple):
    """`names` in the order in which they are known; `missing`: what was written and means none of them."""

    names: list[str]
    missing: list[str]


def choose(known: Collection[str], written: Iterable[str], match: str) -> Choice:
    """`match`: simple, glob or regex. Names differ in more than case, so case is no obstacle.

    Raises ValueError, which says what is wrong with a pattern.
    """
    by_fold = {name.casefold(): name for name in known}
    exact = set(known)
    chosen: set[str] = set()
    missing, patterns = [], 0
    for one in written:
        if one in exact:
            found = {one}
        elif _is_plain(one, match):
            found = {by_fold[fold]} if (fold := one.casefold()) in by_fold else set()
        else:
            meant = _meaning(one, match, patterns := patterns + 1)
            found = {name for name in known if meant(name)}
        chosen |= found
        if not found:
            missing.append(one)
    return Choice([name for name in known if name in chosen], missing)


def meaning(written: Iterable[str] | None, match: str) -> Callable[[str], bool]:
    """Whether a name, known now or later, is among those that are meant; None means every one. Raises ValueError."""
    if written is None:
        return lambda name: True
    words = list(written)
    plain = {one.casefold() for one in words if _is_plain(one, match)}
    rest = [one for one in words if not _is_plain(one, match)]
    meant = [_meaning(one, match, number) for number, one in enumerate(rest, 1)]
    return lambda name: name.casefold() in plain or any(means(name) for means in meant)


def nearest(known: Collection[str], written: str) -> str | None:
    """The one that was probably meant, among at most COMPARED: those that begin alike, if there are more."""
    fold = written[:64].casefold()
    by_fold = {name.casefold(): name for name in known}
    if len(by_fold) > COMPARED:
        alike = (one for one in by_fold.items() if one[0][:1] == fold[:1])
        by_fold = dict(itertools.islice(alike, COMPARED))
    close = difflib.get_close_matches(fold, by_fold, n=1)
    return by_fold[close[0]] if close else None


def _is_plain(written: str, match: str) -> bool:
    return match == "simple" or (match == "glob" and SPECIAL.isdisjoint(written))


def _meaning(written: str, match: str, number: int) -> Callable[[str], bool]:
    """`number`: of this pattern in its request."""
    if number > MOST:
        raise ValueError(f"over {MOST} patterns; write one that means them all, or names")
    if len(written) > LONGEST:
        raise ValueError(f"a pattern of over {LONGEST} characters; write several")
    if match == "glob":
        pattern = re.compile(fnmatch.translate(written), re.IGNORECASE)
        return lambda name: pattern.match(name) is not None
    expression = _expression(written)
    return lambda name: expression.match(name) is not None


def _expression(written: str) -> Any:
    re2 = importlib.import_module("re2")  # 5 ms and 3 MB, for what few ask
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, MEMORY
    try:
        return re2.compile(written, options)
    except (re2.error, UnicodeEncodeError) as wrong:
        said = wrong.args[0]
        why = said.decode(errors="replace") if isinstance(said, bytes) else wrong
        raise ValueError(f"{written[:60]!r} is no regular expression: {why}") from wrong
