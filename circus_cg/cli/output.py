"""How results look: aligned tables for people, one JSON document for programs, colour on a terminal only."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import click

COLOURS = {
    "ready": "green",
    "active": "green",
    "backoff": "yellow",
    "starting": "yellow",
    "stopping": "yellow",
    "failed": "red",
    "done": "cyan",
}


def as_json(document: Any) -> None:
    click.echo(json.dumps(document))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    write(aligned(headings, rows, right))


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """Columns two blanks apart, those under `right` headings flush right; a state is coloured."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    flush = [str.rjust if heading in right else str.ljust for heading in headings]
    lines = []
    for row in [headings, *rows]:
        cells = [put(text, width) for put, text, width in zip(flush, row, widths, strict=True)]
        styled = [
            c.replace(t, click.style(t, fg=COLOURS[t])) if t in COLOURS else c for c, t in zip(cells, row, strict=True)
        ]
        lines.append("  ".join(styled).rstrip())
    return lines


def write(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(coloured(line))


def coloured(line: str) -> str:
    """As it is, unless the operator wants no colour (no-color.org). What is no terminal gets none from `click.echo`."""
    return click.unstyle(line) if os.environ.get("NO_COLOR") else line
