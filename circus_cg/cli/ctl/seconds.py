"""A time on the command line."""

from __future__ import annotations

from typing import Any

import click

LONGEST = 24 * 86400.0  # seconds that can be waited for: poll(2) and ZeroMQ count milliseconds in an int


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 alone
    """`2`, `500ms`: as in configuration; at most `longest`."""

    name = "seconds"

    def __init__(self, longest: float | None = None) -> None:
        self._longest = longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value  # a default
        # The parser of units is imported only by who gives some: `status` is to be quick.
        from circus_cg.units import format_seconds, parse_seconds  # noqa: PLC0415

        try:
            seconds = parse_seconds(value)
        except ValueError as wrong:
            self.fail(f"{wrong} (names come before a bare --watch)" if param and param.name == "watch" else str(wrong))
        if self._longest is not None and seconds > self._longest:
            self.fail(f"{value[:60]!r} is too long; expected at most {format_seconds(self._longest)}")
        return seconds
