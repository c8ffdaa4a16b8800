"""Circus's way to refer to a value within a text: `$(circus.X)` or `((circus.X))`; any other `$` stays."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\(circus\.([\w.]+)\)|\(\(circus\.([\w.]+)\)\)", re.IGNORECASE)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """`text` with each reference to a key of `values` replaced, once; others stay as written.

    A key is found whatever its case; one that is equal as written goes before one that is not.
    """
    if not _REFERENCE.search(text):
        return text
    folded = _folded(values)

    def value(found: re.Match[str]) -> str:
        key = found[1] or found[2]
        return values.get(key, folded.get(key.lower(), found[0]))

    return _REFERENCE.sub(value, text)


def unknown(text: str, values: Mapping[str, str]) -> list[str]:
    """The keys, as written, that `text` refers to and `values` lacks."""
    keys = [first or second for first, second in _REFERENCE.findall(text)]
    folded = _folded(values) if keys else {}
    return [key for key in keys if key.lower() not in folded]


def _folded(values: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in values.items()}
