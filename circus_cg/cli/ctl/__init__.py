"""`circus-cg ctl`: talk to a running daemon over its local endpoint. Each verb's module is imported when it is used."""

from __future__ import annotations

import gc

import click

from circus_cg.cli.ctl.session import Session
from circus_cg.cli.lazy import LazyGroup

_ROOMS = {
    "reports": ("status", "list", "numprocesses", "numwatchers"),
    "usage": ("ps", "stats", "dstats"),
    "events": ("events", "listen"),
    "lifecycle": ("start", "stop", "restart", "reload", "kill", "wait", "quit"),
    "freezing": ("freeze", "thaw"),
    "workers": ("incr", "decr", "signal"),
    "exec": ("exec",),
    "change": ("add", "rm", "set"),
    "configuration": ("reloadconfig", "diff"),
    "settings": ("options", "get", "globaloptions"),
    "upgrade": ("upgrade",),
    "inside": ("loglevel", "debug", "listsockets", "ipython"),
}
_KEYWORDS = {"list": "list_", "set": "set_", "quit": "quit_", "exec": "exec_"}  # Python's own words


@click.group(
    cls=LazyGroup,
    rooms={
        verb: f"circus_cg.cli.ctl.{room}:{_KEYWORDS.get(verb, verb)}"
        for room, verbs in _ROOMS.items()
        for verb in verbs
    },
)
@click.option("--name", default="default", show_default=True, envvar="CIRCUS_CG_NAME", help="The daemon's name.")
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for an answer.")
@click.pass_context
def ctl(context: click.Context, name: str, timeout: float) -> None:
    """Operate a running daemon. Example: circus-cg ctl --name shop ps"""
    context.obj = Session(name, timeout)
    context.call_on_close(gc.freeze)  # the interpreter's end would look through all that was imported: 5 ms
