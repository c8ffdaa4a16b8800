"""options, get, globaloptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from circus_cg.cli.ctl.parameters import json_option, name_argument
from circus_cg.cli.ctl.scaling import scaling_lines
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.ctl.watching import Document, report
from circus_cg.cli.output import aligned


@click.command()
@name_argument
@json_option
@click.pass_obj
def options(session: Session, name: str, json_: bool) -> None:
    """All options of a watcher as they hold now, `env` with its secrets too. Example: circus-cg ctl options web

    `*` marks what was set to last beyond the daemon.
    """
    report(lambda: session.call("options", name=name), _lines, json_=json_)


@click.command()
@name_argument
@click.argument("keys", nargs=-1, required=True)
@json_option
@click.pass_obj
def get(session: Session, name: str, keys: tuple[str, ...], json_: bool) -> None:
    """Some options of a watcher. Example: circus-cg ctl get web numprocesses limits.memory_max"""
    report(lambda: session.call("get", name=name, keys=list(keys)), _lines, json_=json_)


@click.command()
@click.argument("option", required=False)
@json_option
@click.pass_obj
def globaloptions(session: Session, option: str | None, json_: bool) -> None:
    """The daemon's own options. Example: circus-cg ctl globaloptions endpoint"""
    report(lambda: session.call("globaloptions", option=option), _lines, json_=json_)


def _lines(found: Document) -> list[str]:
    kept = found.get("lasting", {})
    rows = ((key, f"{value} *" if key in kept else value) for key, value in listed(found["options"]))
    return aligned(("OPTION", "VALUE"), list(rows)) + scaling_lines(found)


def listed(options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and values, both as `set` takes them: dotted once, and a mapping of mappings whole.

    What is not set is left out below the top, where it is `-`.
    """
    for key, value in options.items():
        if isinstance(value, dict) and not all(isinstance(one, dict) for one in value.values()):
            yield from ((f"{key}.{part}", _written(one)) for part, one in value.items() if one not in (None, []))
        elif value != {}:
            yield key, "-" if value is None else _written(value)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_set(value))


def _set(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _set(one) for key, one in value.items() if one not in (None, [])}
