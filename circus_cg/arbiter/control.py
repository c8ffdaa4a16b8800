"""The control channel: bytes in, a command run, bytes out. Never waits on the loop."""

from __future__ import annotations

import asyncio

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import Commands
from circus_cg.errors import CircusCgError
from circus_cg.host import clock
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.server import Reply, Server


def open_control(arbiter: Arbiter, endpoint: str) -> Server:
    server = Server(Control(Commands(arbiter)).handle)
    server.bind(endpoint)
    return server


class Control:
    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, body: bytes, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(body, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: bytes, reply: Reply) -> None:
        request_id: str | None = None
        wants_reply = True
        try:
            request = rpc.decode_request(body)
            request_id, wants_reply = request.id, request.wants_reply
            fields = await self._commands.run(request.command, request.properties, reply)
            answer = rpc.ok(request_id, clock.wall(), fields)
        except rpc.BadMessage as bad:
            answer = rpc.error(request_id, clock.wall(), str(bad), bad.errno)
        except CircusCgError as refused:
            answer = rpc.error(request_id, clock.wall(), str(refused), rpc.Errno.COMMAND_ERROR)
        except OSError as failed:
            answer = rpc.error(request_id, clock.wall(), str(failed), rpc.Errno.OS_ERROR)
        if wants_reply:
            reply(answer)
