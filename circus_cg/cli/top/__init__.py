"""`circus-cg top`: who uses what, live; of a daemon here or on another host."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from circus_cg.cli.ctl.opening import open_session, where_options
from circus_cg.cli.ctl.parameters import json_option, names_argument
from circus_cg.cli.ctl.seconds import LONGEST, Seconds
from circus_cg.cli.ctl.watching import Interrupt
from circus_cg.cli.output import as_json, write
from circus_cg.cli.top.table import KEYS, Look, Table

FIRST = 1.0  # seconds between the two looks that the first table is made from


@click.command()
@names_argument
@where_options
@click.option("--sort", type=click.Choice(list(KEYS)), default="cpu", show_default=True, help="Who comes first.")
@click.option("--delay", type=Seconds(LONGEST), default="2", show_default=True, help="Seconds between two looks.")
@click.option("--workers/--no-workers", default=True, show_default=True, help="A row for each worker, too.")
@click.option("--once", is_flag=True, help="One table, and no more.")
@json_option
def top(names: tuple[str, ...], sort: str, delay: float, *, once: bool, json_: bool, **options: Any) -> None:
    """Watchers and workers by what they use: CPU, throttling, memory against its limit, pressure, restarts.

    On a terminal keys change it: c t m l p r n sort by CPU, throttling, memory, share of the limit, pressure, restarts,
    name; w shows or hides workers; q ends it. Example: circus-cg top --host shop 'web*' --sort memory
    """
    table = Table(sort, options.pop("workers"))
    session = open_session(options)

    def look() -> Look:
        return Look(session.call("top", name=list(names) or None, match="glob"))

    if not once and not json_ and sys.stdout.isatty() and sys.stdin.isatty():
        screen = importlib.import_module("circus_cg.cli.top.screen")  # curses, only for who sees it
        if screen.can_show():
            screen.show(look, table, max(0.1, delay), session.name)
            return
    table.add(look())
    with Interrupt() as interrupt:
        interrupt.pause(min(delay, FIRST))
        while not interrupt.came:
            table.add(look())
            if json_:
                as_json(table.document())
            else:
                write(table.lines())
                click.echo()
            sys.stdout.flush()
            if once:
                return
            interrupt.pause(delay)
