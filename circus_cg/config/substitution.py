"""`$(circus.NAME)` and `((circus.NAME))` in a text, whatever the case: circus's way to write a value by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

WID = "wid"  # the one name that differs from worker to worker: $(circus.wid), ((circus.wid))

_REFERENCE = re.compile(r"\$\(circus\.([\w.-]+)\)|\(\(circus\.([\w.-]+)\)\)", re.IGNORECASE)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """`text` with the values of the names it refers to; a name that `values` lacks stays as written.

    The keys of `values` are lower-case: `{"wid": "3", "env.home": "/root"}`. What is put in is not looked at again.
    """
    return _REFERENCE.sub(lambda found: values.get(_name(found), found[0]), text)


def references(text: str) -> dict[str, str]:
    """The names that `text` refers to, in lower case: each as it is written first."""
    found: dict[str, str] = {}
    for one in _REFERENCE.finditer(text):
        found.setdefault(_name(one), one[0])
    return found


def size(text: str, values: Mapping[str, str]) -> int:
    """How long `substitute(text, values)` is, told before it is made."""
    longer = (len(values[name]) - len(one[0]) for one in _REFERENCE.finditer(text) if (name := _name(one)) in values)
    return len(text) + sum(longer)


def _name(found: re.Match[str]) -> str:
    return (found[1] or found[2]).lower()
