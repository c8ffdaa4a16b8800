"""status, list, numprocesses, numwatchers."""

from __future__ import annotations

import click

from circus_cg.cli.ctl.parameters import json_option, names_argument, optional_name, watch_option
from circus_cg.cli.ctl.scaling import scaling_lines
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.ctl.watching import Document, report
from circus_cg.cli.output import aligned


@click.command()
@names_argument
@json_option
@watch_option
@click.pass_obj
def status(session: Session, names: tuple[str, ...], json_: bool, watch: float | None) -> None:
    """active, starting, stopping or stopped, for each watcher. Example: circus-cg ctl status 'web*'"""

    def lines(found: Document) -> list[str]:
        held = found.get("held", {})
        if not held:
            return aligned(("WATCHER", "STATUS"), list(found["statuses"].items())) + scaling_lines(found)
        rows = [(name, status, held.get(name, "")) for name, status in found["statuses"].items()]
        return aligned(("WATCHER", "STATUS", "HELD"), rows) + scaling_lines(found)

    def ask() -> Document:
        return session.call("status", name=list(names) or None, match="glob")

    report(ask, lines, json_=json_, watch=watch)


@click.command("list")
@optional_name
@json_option
@watch_option
@click.pass_obj
def list_(session: Session, name: str | None, json_: bool, watch: float | None) -> None:
    """The watchers; with NAME the pids of its workers. Example: circus-cg ctl list web"""

    def lines(found: Document) -> list[str]:
        return [str(one) for one in found["watchers" if name is None else "pids"]]

    report(lambda: session.call("list", name=name), lines, json_=json_, watch=watch)


@click.command()
@optional_name
@json_option
@click.pass_obj
def numprocesses(session: Session, name: str | None, json_: bool) -> None:
    """How many workers live, of one watcher or of all. Example: circus-cg ctl numprocesses web"""
    report(lambda: session.call("numprocesses", name=name), lambda found: [str(found["numprocesses"])], json_=json_)


@click.command()
@json_option
@click.pass_obj
def numwatchers(session: Session, json_: bool) -> None:
    """How many watchers there are. Example: circus-cg ctl numwatchers"""
    report(lambda: session.call("numwatchers"), lambda found: [str(found["numwatchers"])], json_=json_)
