"""How results look: aligned tables for people, one JSON document for programs, colour on a terminal only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

COLOURS = {
    "ready": "green",
    "active": "green",
    "backoff": "yellow",
    "starting": "yellow",
    "stopping": "yellow",
    "failed": "red",
}


def as_json(document: Any) -> None:
    click.echo(json.dumps(document))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned columns, two blanks apart; a state is coloured."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    click.echo("  ".join(h.ljust(w) for h, w in zip(headings, widths, strict=True)).rstrip())
    for row in rows:
        padded = zip(row, widths, strict=True)
        cells = [click.style(c.ljust(w), fg=COLOURS[c]) if c in COLOURS else c.ljust(w) for c, w in padded]
        click.echo("  ".join(cells).rstrip())
