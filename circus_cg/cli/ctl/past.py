"""why, history: what happened, and what led to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from circus_cg.cli.ctl.events import show_event
from circus_cg.cli.ctl.parameters import complete_watchers, json_option, watchers_option
from circus_cg.cli.ctl.seconds import Seconds
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.ctl.watching import Document
from circus_cg.cli.output import aligned, as_json, coloured, write
from circus_cg.units import format_bytes

COLOURS = {"failed": "red", "refused": "red", "restart": "yellow", "pending": "yellow", "decision": "cyan"}
USAGE = ("AT", "WATCHER", "WORKERS", "CPU%", "THROTTLED%", "MEMORY", "MOST", "PIDS", "CPU PSI", "MEMORY PSI")


@click.command()
@click.argument("watcher", metavar="WATCHER[.WID]", shell_complete=complete_watchers)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many, the last."
)
@json_option
@click.pass_obj
def why(session: Session, watcher: str, limit: int, json_: bool) -> None:
    """Why workers were restarted, ended, added or refused: each with the chain of its causes, the last one last.

    Decisions come with all that they were made from. Example: circus-cg ctl why web.3
    """
    found = session.call("why", name=watcher, limit=limit)
    if json_:
        as_json(found)
        return
    if not found["chains"]:
        click.echo(f"nothing has happened to {watcher}" + ("" if found["kept"] else " that is still known"))
    for chain in found["chains"]:
        click.echo(coloured(_heading(chain)))
        for line in chain["lines"]:
            who = "" if line["who"] == chain["who"] else f"{line['who']} "
            click.echo(f"    {_clock(line['at'])}  {who}{line['text']}")


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 alone
    """`2h` ago, or an instant as ISO 8601 has it. -> ("ago", seconds) or ("since", seconds since the epoch)."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        try:
            return "since", datetime.fromisoformat(value).timestamp()
        except ValueError:
            return "ago", Seconds().convert(value, param, ctx)


@click.command()
@click.option("--since", type=Instant(), metavar="AGO|TIME", help="`2h`, `7d`, or 2026-11-26T18:00.")
@watchers_option("Only of these, also those that are gone; repeatable.")
@click.option("--kind", "-k", "kinds", multiple=True, help="Only of these kinds: exit, decision, ...; repeatable.")
@click.option("--usage", is_flag=True, help="What watchers used, instead of events.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many, the last."
)
@json_option
@click.pass_obj
def history(session: Session, /, since: tuple[str, float] | None, usage: bool, json_: bool, **asked: Any) -> None:
    """What happened, from the disk: also before the arbiter's or the daemon's last start.

    Example: circus-cg ctl history --since 2d -w 'web*' -k exit -k decision
    """
    names, kinds = list(asked["watchers"]) or None, list(asked["kinds"]) or None
    begin = {} if since is None else dict([since])
    found = session.call("history", name=names, kinds=kinds, usage=usage, limit=asked["limit"], **begin)
    if json_:
        as_json(found)
    elif usage:
        write(aligned(USAGE, [_usage_row(row) for row in found["usage"]], USAGE[2:]))
    else:
        for event in found["events"]:
            show_event(event)


def _heading(chain: Document) -> str:
    at = datetime.fromtimestamp(chain["at"]).strftime("%Y-%m-%d %H:%M:%S")
    return f"{at}  {chain['who']}  {click.style(chain['what'], fg=COLOURS.get(chain['what']))}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3]


def _usage_row(row: Document) -> tuple[str, ...]:
    return (
        datetime.fromtimestamp(row["at"]).strftime("%Y-%m-%d %H:%M:%S"),
        row["watcher"],
        _number(row["workers"], 1),
        _number(row["cpu"], 100),
        _number(row["throttled"], 100),
        "-" if row["memory"] is None else format_bytes(round(row["memory"])),
        "-" if row["memory_most"] is None else format_bytes(round(row["memory_most"])),
        _number(row["pids"], 1),
        _number(row["cpu_pressure"], 1),
        _number(row["memory_pressure"], 1),
    )


def _number(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{value * factor:.1f}".removesuffix(".0")
