"""Which daemon a command line means. What reaches other hosts is imported only for who wants it: `status` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from circus_cg.cli.ctl.seconds import LONGEST, Seconds
from circus_cg.cli.ctl.session import Session
from circus_cg.errors import CircusCgError

F = TypeVar("F", bound=Callable[..., Any])

AWAY = ("host", "endpoint", "server_key", "client_key")


def open_session(options: Mapping[str, Any]) -> Session:
    """`options` of `ctl`. Raises KeyFileError, click.UsageError."""
    if not any(options.get(option) for option in AWAY):
        return Session(options["name"], options["timeout"])
    away = importlib.import_module("circus_cg.cli.ctl.hosts").find(*(options.get(option) for option in AWAY))
    session: Session = importlib.import_module("circus_cg.cli.ctl.away").AwaySession(away, options["timeout"])
    return session


def complete_hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Those of hosts.toml; none, and no word, where there is none."""
    try:
        known: list[str] = importlib.import_module("circus_cg.cli.ctl.hosts").names()
    except CircusCgError:
        return []
    return [one for one in known if one.startswith(incomplete)]


_WHERE = (
    click.option("--name", default="default", show_default=True, envvar="CIRCUS_CG_NAME", help="The daemon's name."),
    click.option(
        "--timeout",
        type=Seconds(LONGEST),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="To wait for an answer.",
    ),
    click.option("--host", envvar="CIRCUS_CG_HOST", shell_complete=complete_hosts, help="A daemon of hosts.toml."),
    click.option("--endpoint", metavar="tcp://HOST:PORT", help="A daemon on another host, without hosts.toml."),
    click.option("--server-key", metavar="KEY|FILE", help="Its public key: `circus-cg keys show --server` there."),
    click.option("--client-key", metavar="FILE", help="Our own: `circus-cg keys new NAME` made it."),
)


def where_options(command: F) -> F:
    """Those of open_session()."""
    for option in reversed(_WHERE):
        command = option(command)
    return command
