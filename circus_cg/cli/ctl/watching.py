"""A report once, or again and again in place."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from circus_cg.cli.output import as_json, coloured, write
from circus_cg.errors import TimedOut

# The other screen, no cursor, no line breaks of the terminal's own; and all of that back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
HOME, LINE_END, REST = "\x1b[H", "\x1b[K", "\x1b[J"  # overwriting flickers less than clearing

USUAL = 24  # lines of a terminal that doesn't know its own
Document = dict[str, Any]


def report(
    ask: Callable[[], Document],
    lines: Callable[[Document], Sequence[str]],
    *,
    json_: bool,
    watch: float | None = None,
) -> None:
    """`watch`: seconds between two looks. Ctrl-C ends it, and is no failure."""
    if watch is None:
        _once(ask(), lines, json_)
    elif json_ or not sys.stdout.isatty():
        _stream(ask, lines, json_, watch)
    else:
        _screen(ask, lines, watch)


def _once(document: Document, lines: Callable[[Document], Sequence[str]], json_: bool) -> None:
    if json_:
        as_json(document)
    else:
        write(lines(document))


def _stream(ask: Callable[[], Document], lines: Callable[[Document], Sequence[str]], json_: bool, watch: float) -> None:
    """For a program or a file: one document a line, or one table after the other."""
    try:
        while True:
            _once(ask(), lines, json_)
            if not json_:
                click.echo()
            sys.stdout.flush()
            _pause(watch)
    except KeyboardInterrupt:
        return


def _screen(ask: Callable[[], Document], lines: Callable[[Document], Sequence[str]], watch: float) -> None:
    sys.stdout.write(ENTER)
    try:
        while True:
            try:
                shown = list(lines(ask()))
            except TimedOut as late:  # an arbiter between two lives
                shown = [str(late)]
            height = (os.get_terminal_size().lines or USUAL) - 1
            frame = "".join(f"{line}{LINE_END}\n" for line in map(coloured, shown[:height]))
            sys.stdout.write(f"{HOME}{frame}{REST}")
            sys.stdout.flush()
            _pause(watch)
    except KeyboardInterrupt:
        return
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def _pause(seconds: float) -> None:
    """Ended early when the other side of a pipe is gone."""
    if os.isatty(sys.stdout.fileno()):
        select.select([], [], [], seconds)
        return
    gone = select.poll()
    gone.register(sys.stdout.fileno(), 0)
    if gone.poll(seconds * 1000):
        raise KeyboardInterrupt
