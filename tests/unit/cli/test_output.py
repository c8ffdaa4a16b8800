"""Tables for people: aligned, coloured, and not a blank at a line's end, in colour or without."""

from __future__ import annotations

import click

from circus_cg.cli.output import aligned


def test_columns_are_aligned_and_nothing_follows_the_last_one() -> None:
    lines = [click.unstyle(line) for line in aligned(("WATCHER", "STATUS"), (("calm", "active"), ("hog", "starting")))]
    assert lines == ["WATCHER  STATUS", "calm     active", "hog      starting"]


def test_a_state_is_coloured_and_the_blanks_beside_it_are_not() -> None:
    rows = (("ready", "1"), ("backoff", "22"))
    green, yellow = click.style("ready", fg="green"), click.style("backoff", fg="yellow")
    assert aligned(("S", "N"), rows) == ["S        N", f"{green}    1", f"{yellow}  22"]
    assert aligned(("S", "N"), rows, right=("S",)) == ["      S  N", f"  {green}  1", f"{yellow}  22"]
