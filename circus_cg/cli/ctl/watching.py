"""A report once, or again and again in place."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Self

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
        return
    with Interrupt() as interrupt:
        if json_ or not sys.stdout.isatty():
            _stream(lambda: _once(ask(), lines, json_), json_, watch, interrupt)
        else:
            _screen(ask, lines, watch, interrupt)


class Interrupt:
    """Ctrl-C as a fact to look at: as an exception it may come in the middle of ZeroMQ's clean-up, and be lost there.

    The second one is an exception again, for who does not want to wait for an answer.
    """

    def __init__(self) -> None:
        self.came = False
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    @property
    def fd(self) -> int:
        """Readable once it came."""
        return self._reader

    def pause(self, seconds: float) -> None:
        """Ended early by it, and when the other side of a pipe is gone, which counts as much."""
        waiting = select.poll()
        waiting.register(self._reader, select.POLLIN)
        waiting.register(sys.stdout.fileno(), 0)
        self.came |= bool(waiting.poll(seconds * 1000))

    def _on_signal(self, signum: int, frame: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
        os.write(self._writer, b"!")


def _once(document: Document, lines: Callable[[Document], Sequence[str]], json_: bool) -> None:
    if json_:
        as_json(document)
    else:
        write(lines(document))


def _stream(show: Callable[[], None], json_: bool, watch: float, interrupt: Interrupt) -> None:
    """For a program or a file: one document a line, or one table after the other."""
    while not interrupt.came:
        show()
        if not json_:
            click.echo()
        sys.stdout.flush()
        interrupt.pause(watch)


def _screen(
    ask: Callable[[], Document], lines: Callable[[Document], Sequence[str]], watch: float, interrupt: Interrupt
) -> None:
    sys.stdout.write(ENTER)
    try:
        while not interrupt.came:
            try:
                shown = list(lines(ask()))
            except TimedOut as late:  # an arbiter between two lives
                shown = [str(late)]
            height = (os.get_terminal_size().lines or USUAL) - 1
            frame = "".join(f"{line}{LINE_END}\n" for line in map(coloured, shown[:height]))
            sys.stdout.write(f"{HOME}{frame}{REST}")
            sys.stdout.flush()
            interrupt.pause(watch)
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
