"""The table on a terminal, by curses: with or without colour, of whatever size it is just now."""

from __future__ import annotations

import curses
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import click

from circus_cg.cli.top.table import Look, Table
from circus_cg.errors import TimedOut
from circus_cg.host import clock

SORTED_BY = {
    "c": "cpu", "t": "throttled", "m": "memory", "l": "limit", "p": "pressure", "r": "restarts", "n": "name",
}  # fmt: skip
QUICK = 0.5  # seconds to the second look: rates need two
HELP = "sort: c cpu, t throttling, m memory, l limit, p pressure, r restarts, n name; w workers, q quit"


def can_show() -> bool:
    """The terminal is one that can be written to anywhere; `dumb` ones get one table after the other."""
    try:
        curses.setupterm(fd=sys.stdout.fileno())
    except curses.error:
        return False
    return all(curses.tigetstr(word) for word in ("cup", "clear"))


def show(look: Callable[[], Look], table: Table, delay: float, name: str) -> None:
    """Until q or Ctrl-C."""
    try:
        curses.wrapper(_Screen(look, table, delay, name).run)
    except KeyboardInterrupt:
        return


class _Screen:
    def __init__(self, look: Callable[[], Look], table: Table, delay: float, name: str) -> None:
        self._look, self._table, self._delay, self._name = look, table, delay, name
        self._trouble = ""
        self._colours: dict[str, int] = {}

    def run(self, window: curses.window) -> None:
        self._prepare()
        due, pause = clock.now(), min(QUICK, self._delay)
        while True:
            if clock.now() >= due:
                self._refresh()
                due, pause = clock.now() + pause, self._delay
            self._draw(window)
            window.timeout(max(1, round(1000 * (due - clock.now()))))
            match key := window.getch():
                case -1 | curses.KEY_RESIZE:
                    continue
                case _ if key in (ord("q"), 27):
                    return
                case _ if key == ord("w"):
                    self._table.workers = not self._table.workers
                    due = clock.now()
                case _ if chr(key) in SORTED_BY:
                    self._table.sort = SORTED_BY[chr(key)]

    def _prepare(self) -> None:
        with suppress(curses.error):  # this one can't hide it
            curses.curs_set(0)
        if curses.has_colors() and not os.environ.get("NO_COLOR"):
            curses.use_default_colors()
            for number, (word, colour) in enumerate((("red", curses.COLOR_RED), ("yellow", curses.COLOR_YELLOW)), 1):
                curses.init_pair(number, colour, -1)
                self._colours[word] = curses.color_pair(number)

    def _refresh(self) -> None:
        try:
            self._table.add(self._look())
            self._trouble = ""
        except TimedOut as late:  # an arbiter between two lives
            self._trouble = str(late)

    def _draw(self, window: curses.window) -> None:
        height, width = window.getmaxyx()
        window.erase()
        lines = self._table.lines()
        self._put(window, 0, self._trouble or self._table.heading(self._name), curses.A_BOLD, width)
        for row, line in enumerate(lines[: max(0, height - 3)], 1):
            plain = click.unstyle(line)
            self._put(window, row, plain, curses.A_REVERSE if row == 1 else self._attributes(line), width)
        hidden = len(lines) - max(0, height - 3)
        self._put(window, height - 1, f"{hidden} more rows; {HELP}" if hidden > 0 else HELP, curses.A_DIM, width)
        window.refresh()

    def _attributes(self, line: str) -> int:
        """Of a line that click has styled as a whole."""
        found = curses.A_BOLD if line.startswith("\x1b[1m") else curses.A_NORMAL
        for word, code in (("red", "\x1b[31m"), ("yellow", "\x1b[33m")):
            if line.startswith(code):
                found |= self._colours.get(word, curses.A_BOLD)
        return found

    def _put(self, window: curses.window, row: int, text: str, attributes: int, width: int) -> None:
        with suppress(curses.error):  # the terminal has become smaller since it was measured
            window.addnstr(row, 0, text, max(0, width - 1), attributes)
