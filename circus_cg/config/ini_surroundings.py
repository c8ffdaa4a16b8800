"""What circus.ini takes from where it is read: variables, the directory, a limit. Texts are kept within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from circus_cg.config import substitution
from circus_cg.config.nodes import TooLarge

MAX_VALUE = 1 << 20  # characters of one value; the kernel takes no longer argument than an eighth of it
MAX_TEXT = 32 << 20  # characters of all values after substitution

_VARIABLE = re.compile(r"\$([A-Z]+[A-Z0-9_]*)")


class Surroundings(NamedTuple):
    environ: Mapping[str, str]
    directory: str  # absolute
    hard_nofile: int | None = None  # the hard limit on open files


class Expander:
    """Replaces references, as long as the texts stay within bounds. Raises TooLarge, and ValueError for one text."""

    def __init__(self) -> None:
        self._left = MAX_TEXT

    def substitute(self, text: str, values: Mapping[str, str]) -> str:
        self._spend(substitution.size(text, values))
        return substitution.substitute(text, values)

    def variables(self, text: str, environ: Mapping[str, str]) -> str:
        """`$NAME`, in capitals, as circus does it in an environment; what names no variable stays as written."""
        longer = sum(len(environ.get(name, "")) for name in _VARIABLE.findall(text))
        self._spend(len(text) + longer)
        return _VARIABLE.sub(lambda found: environ.get(found[1], found[0]), text)

    def _spend(self, size: int) -> None:
        if size > MAX_VALUE:
            raise ValueError(f"over {MAX_VALUE} characters after its references are replaced; shorten it")
        self._left -= size
        if self._left < 0:
            raise TooLarge


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The names by which a text refers to them: `env.home`. Of two that differ in case the later one counts."""
    return {f"env.{name.lower()}": value for name, value in variables.items()}


def is_text(value: str) -> bool:
    """False for what came from bytes that are no UTF-8: it can be neither stored nor written."""
    return not any("\ud800" <= one <= "\udfff" for one in value)
