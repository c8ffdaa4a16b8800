"""Somebody else's words where we write: in a record, the log, the audit, and from there on terminals."""

from __future__ import annotations


def one_line(text: str, longest: int) -> str:
    """The first `longest` characters, as one line and without what a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in text[:longest]).strip()
