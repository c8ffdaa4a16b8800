"""The control channel: bytes in, a command run, bytes out. Never waits on the loop."""

from __future__ import annotations

import asyncio

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.audit import Audit
from circus_cg.arbiter.commands import COMMANDS, Commands
from circus_cg.arbiter.remote import Remote
from circus_cg.core.access import Role
from circus_cg.errors import CircusCgError
from circus_cg.host import clock
from circus_cg.host.dirs import Dirs
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.server import HERE, Peer, Reply, Server, Work


class Endpoints:
    """The local endpoint, and the one on the network if the configuration wants it."""

    def __init__(self, arbiter: Arbiter, places: Dirs) -> None:
        boot = arbiter.boot
        audit = Audit(boot.spec.control.audit or str(places.state / "audit.log"))
        handle = Control(Commands(arbiter), audit).handle
        self._local = Server(handle)
        self._local.bind(places.endpoint)
        self._remote = None if boot.network is None else Remote(boot.spec.control, boot.network, handle, audit)

    def close(self) -> None:
        self._local.close()
        if self._remote is not None:
            self._remote.close()


class Control:
    def __init__(self, commands: Commands, audit: Audit) -> None:
        self._commands = commands
        self._audit = audit
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, body: bytes, peer: Peer, reply: Reply) -> Work:
        request: rpc.Request | rpc.BadMessage
        try:
            request = rpc.decode_request(body)
        except rpc.BadMessage as bad:
            request = bad
        looks = isinstance(request, rpc.BadMessage) or _only_looks(request.command)
        task = asyncio.get_running_loop().create_task(self._answer(request, peer, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Work(task, looks)

    async def _answer(self, request: rpc.Request | rpc.BadMessage, peer: Peer, reply: Reply) -> None:
        if isinstance(request, rpc.BadMessage):
            self._audited(rpc.Request(command=""), peer, "refused", request.errno)
            reply(rpc.error(None, clock.wall(), str(request), request.errno))
            return
        result, errno = "ok", None
        try:
            fields = await self._commands.run(request.command, request.properties, peer.caller)
            answer = rpc.ok(request.id, clock.wall(), fields)
        except rpc.BadMessage as bad:
            result, errno = "forbidden" if isinstance(bad, rpc.Forbidden) else "refused", bad.errno
            answer = rpc.error(request.id, clock.wall(), str(bad), errno)
        except CircusCgError as refused:
            result, errno = "refused", rpc.Errno.COMMAND_ERROR
            answer = rpc.error(request.id, clock.wall(), str(refused), errno)
        except OSError as failed:
            result, errno = "failed", rpc.Errno.OS_ERROR
            answer = rpc.error(request.id, clock.wall(), str(failed), errno)
        except asyncio.CancelledError:
            self._audited(request, peer, "nobody waited", None)
            raise
        self._audited(request, peer, result, errno)
        if request.wants_reply:
            reply(answer)

    def _audited(self, request: rpc.Request, peer: Peer, result: str, errno: int | None) -> None:
        """Who may open the local endpoint may read what the audit would tell; `--watch` asks again and again."""
        if peer != HERE or not _only_looks(request.command):
            self._audit.command(peer, request.command, request.properties, result, errno)


def _only_looks(command: str) -> bool:
    known = COMMANDS.get(command.lower())
    return known is None or known.role is Role.OBSERVE
