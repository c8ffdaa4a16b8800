"""`circus-cg ctl`: talk to a running daemon over its local endpoint. Each verb's module is imported when it is used."""

from __future__ import annotations

import gc
import sys
from typing import Any

import click

from circus_cg.cli.ctl.opening import open_session, where_options
from circus_cg.cli.lazy import LazyGroup

_ROOMS = {
    "reports": ("status", "list", "numprocesses", "numwatchers"),
    "usage": ("ps", "stats", "dstats"),
    "events": ("events", "listen"),
    "past": ("why", "history"),
    "lifecycle": ("start", "stop", "restart", "reload", "kill", "wait", "quit"),
    "freezing": ("freeze", "thaw"),
    "workers": ("incr", "decr", "signal"),
    "exec": ("exec",),
    "change": ("add", "rm", "set", "revert"),
    "configuration": ("reloadconfig", "diff"),
    "settings": ("options", "get", "globaloptions"),
    "upgrade": ("upgrade",),
    "inside": ("loglevel", "debug", "listsockets", "ipython"),
    "shell": ("shell",),
}
_KEYWORDS = {"list": "list_", "set": "set_", "quit": "quit_", "exec": "exec_"}  # Python's own words


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    rooms={
        verb: f"circus_cg.cli.ctl.{room}:{_KEYWORDS.get(verb, verb)}"
        for room, verbs in _ROOMS.items()
        for verb in verbs
    },
)
@where_options
@click.pass_context
def ctl(context: click.Context, /, **where: Any) -> None:
    """Operate a running daemon. Example: circus-cg ctl --name shop ps

    On another host: hosts.toml in ~/.config/circus-cg, mode 0600, has a table [NAME] for --host NAME with endpoint,
    server_key (or a file) and client_key (a file). Without a verb, on a terminal, it is `shell`.
    """
    context.obj = open_session(where)
    if context.invoked_subcommand is None:
        if not sys.stdin.isatty():
            context.fail("no verb; --help lists them")
        shell = ctl.get_command(context, "shell")
        assert shell is not None
        context.invoke(shell)
    context.call_on_close(gc.freeze)  # the interpreter's end would look through all that was imported: 5 ms
