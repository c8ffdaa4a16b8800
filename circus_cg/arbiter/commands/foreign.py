"""listsockets, listen, ipython: circus's commands that mean nothing here, with the reason."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno


async def listsockets(arbiter: Arbiter, asked: rpc.Nothing) -> Fields:
    """This daemon opens no sockets for its workers: none are listed."""
    return {"sockets": []}


async def listen(arbiter: Arbiter, asked: rpc.Anything) -> Fields:
    raise BadMessage(
        Errno.MESSAGE_ERROR,
        "cannot listen by asking once: `circus-cg ctl events --follow`, or subscribe to pubsub_endpoint"
        " (`globaloptions` tells it) as circus's clients do",
    )


async def ipython(arbiter: Arbiter, asked: rpc.Anything) -> Fields:
    raise BadMessage(
        Errno.COMMAND_ERROR,
        "cannot open a shell inside the arbiter: it would run as root beside all workers; `debug` shows its state",
    )
