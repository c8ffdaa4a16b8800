"""loglevel, debug, listsockets, ipython."""

from __future__ import annotations

from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.output import as_json


@click.command()
@click.argument("level", required=False, type=click.Choice(["debug", "info", "warning", "error"]))
@json_option
@click.pass_obj
def loglevel(session: Session, level: str | None, json_: bool) -> None:
    """Which of its lines the arbiter writes from now on, or does. Example: circus-cg ctl loglevel debug"""
    fields = session.call("loglevel", level=level)
    done(fields, json_, fields["level"])


@click.command()
@json_option
@click.pass_obj
def debug(session: Session, json_: bool) -> None:
    """Stacks, queues and counts of arbiter and keeper, to find what holds them up. Example: circus-cg ctl debug"""
    found = session.call("debug")
    if json_:
        as_json(found)
        return
    for line in _indented(found, 0):
        click.echo(line)


@click.command()
@json_option
@click.pass_obj
def listsockets(session: Session, json_: bool) -> None:
    """The sockets that the daemon holds for its workers: none yet. Example: circus-cg ctl listsockets"""
    fields = session.call("listsockets")
    done(fields, json_, "\n".join(socket["name"] for socket in fields["sockets"]) or "no sockets")


@click.command()
@json_option
@click.pass_obj
def ipython(session: Session, json_: bool) -> None:
    """Refused: circus opens a shell inside its daemon. `debug` shows ours. Example: circus-cg ctl ipython"""
    done(session.call("ipython"), json_)


def _indented(found: Any, depth: int) -> list[str]:
    blank = "  " * depth
    if isinstance(found, dict):
        lines = []
        for key, value in found.items():
            if isinstance(value, dict | list) and value:
                lines += [f"{blank}{key}:", *_indented(value, depth + 1)]
            else:
                lines.append(f"{blank}{key}: {'-' if value in (None, [], {}) else value}")
        return lines
    if isinstance(found, list):
        return [f"{blank}{one}" for one in found]
    return [f"{blank}{found}"]
