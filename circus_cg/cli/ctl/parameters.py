"""What several verbs take, and how it is completed by a shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from circus_cg.cli.ctl.opening import open_session
from circus_cg.cli.ctl.seconds import LONGEST, Seconds
from circus_cg.errors import CircusCgError

F = TypeVar("F", bound=Callable[..., Any])

COMPLETION_TIMEOUT = 0.3  # seconds; a shell that waits is worse than one that guesses nothing

json_option = click.option("--json", "json_", is_flag=True, help="One JSON document instead of text.")
wait_option = click.option("--wait/--no-wait", default=True, show_default=True, help="Return when it is done.")
match_option = click.option(
    "--match",
    type=click.Choice(["simple", "glob", "regex"]),
    default="glob",
    show_default=True,
    help="How NAMES are meant.",
)


watch_option = click.option(
    "--watch",
    type=Seconds(LONGEST),
    is_flag=False,
    flag_value="2",
    metavar="[SECONDS]",
    help="Look again every 2 s, or so often as told, until Ctrl-C.",
)


def complete_watchers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The running daemon's watchers; none, and no word, when none runs."""
    above = ctx.parent
    if above is None:
        return []
    try:
        # `top` has the daemon's options itself. (A verb's own `name` and `timeout` are others.)
        session = above.obj or open_session(ctx.params if "endpoint" in ctx.params else above.params)
        known = session.call("list", COMPLETION_TIMEOUT)["watchers"]
    except (CircusCgError, click.ClickException, OSError):
        return []
    return [one for one in known if one.startswith(incomplete)]


name_argument = click.argument("name", shell_complete=complete_watchers)
optional_name = click.argument("name", required=False, shell_complete=complete_watchers)
names_argument = click.argument("names", nargs=-1, metavar="[NAMES]...", shell_complete=complete_watchers)


def watchers_option(text: str) -> Callable[[F], F]:
    """Where names are not the verb's own arguments."""
    return click.option(
        "--watcher", "-w", "watchers", multiple=True, metavar="GLOB", shell_complete=complete_watchers, help=text
    )
