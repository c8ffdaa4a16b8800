"""Limits as data before they are writes. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One write: into `file` of the group in the hierarchy of `controller`."""

    controller: str
    file: str
    text: str


class Support(NamedTuple):
    """How well v1 can do what a v2 limit means: exact, approximate (with the difference), refused (with the reason)."""

    grade: str
    why: str = ""


EXACT = Support("exact")
