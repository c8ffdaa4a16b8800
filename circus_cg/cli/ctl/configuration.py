"""reloadconfig, diff."""

from __future__ import annotations

import json
from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option, wait_option
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.output import table
from circus_cg.errors import CommandRefused

PARSING = 65.0  # seconds that a configuration may take to be read


@click.command()
@wait_option
@json_option
@click.pass_obj
def reloadconfig(session: Session, wait: bool, json_: bool) -> None:
    """Read the configuration file of `run` again and do what changed in it. Example: circus-cg ctl reloadconfig

    Watchers come, go and change; what was done at run time stays over it. A file with a mistake changes nothing.
    """
    fields = session.call("reloadconfig", PARSING)
    if wait:
        for name in fields["removed"]:
            session.wait([name], "simple", "gone")
        if settled := [*fields["added"], *fields["changed"]]:
            session.wait(settled, "simple", "up")
    if json_:
        done(fields, json_)
    else:
        for warning in fields["warnings"]:
            click.echo(f"circus-cg: warning: {warning}", err=True)
        for line in _lines(fields) or ["nothing changed"]:
            click.echo(line)
    if fields["failed"]:
        raise CommandRefused("\n".join(f"{name}: {text}" for name, text in fields["failed"].items()))


@click.command()
@json_option
@click.pass_obj
def diff(session: Session, json_: bool) -> None:
    """What was done at run time and is not configured: lost at the daemon's end, unless it lasts (`set --persist`).

    Example: circus-cg ctl diff
    """
    found = session.call("diff")
    if json_:
        done(found, json_)
        return
    rows = [
        (name, option, _text(both, "configured"), _text(both, "now"), _lasts(found, name, option))
        for name, options in found["changed"].items()
        for option, both in options.items()
    ]
    if rows:
        table(("WATCHER", "OPTION", "CONFIGURED", "NOW", "LASTS"), rows)
    words = (("added", "added"), ("removed", "removed"), ("stopped", "stopped"), ("started", "started"))
    lines = [f"{word}: {', '.join(found[key])}" for key, word in words if found[key]]
    lines += [f"frozen: {name}.{wid}" for name, wids in found["frozen"].items() for wid in wids]
    for line in lines:
        click.echo(line)
    if not rows and not lines:
        click.echo("as configured")


def _lasts(found: dict[str, Any], watcher: str, option: str) -> str:
    return "yes" if option in found["lasting"].get(watcher, {}) else "-"


def _lines(fields: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {key}" for key in ("added", "removed") for name in fields[key]]
    return lines + [f"{name}: {', '.join(options)} changed" for name, options in fields["changed"].items()]


def _text(both: dict[str, Any], which: str) -> str:
    """Of a variable of the environment the name alone is told."""
    value = both.get(which, "(not shown)")
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)
