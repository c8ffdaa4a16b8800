"""Which daemon a command line means. What reaches other hosts is imported only for who wants it: `status` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from circus_cg.cli.ctl.session import Session
from circus_cg.errors import CircusCgError

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
