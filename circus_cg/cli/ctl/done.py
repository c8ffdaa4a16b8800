"""How the end of a command is told."""

from __future__ import annotations

from typing import Any

import click

from circus_cg.cli.output import as_json, table


def done(fields: dict[str, Any], json_: bool, text: str = "ok") -> None:
    """One JSON document; or the statuses if there are some, else `text`."""
    if json_:
        as_json({"status": "ok", **fields})
    elif "statuses" in fields:
        table(("WATCHER", "STATUS"), list(fields["statuses"].items()))
        for name, why in fields.get("held", {}).items():
            click.echo(f"{name} is held: {why}")
    else:
        click.echo(text)
