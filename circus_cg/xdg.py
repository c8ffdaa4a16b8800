"""A user's directories, by the XDG Base Directory Specification."""

from __future__ import annotations

from collections.abc import Mapping


def directory(environ: Mapping[str, str], variable: str, otherwise: str) -> str:
    """What `variable` names; an empty one counts as unset, and a relative path is to be ignored."""
    said = environ.get(variable, "")
    return said if said.startswith("/") else otherwise
