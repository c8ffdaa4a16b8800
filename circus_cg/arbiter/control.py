"""The control channel: bytes in, a command run, bytes out. Never waits on the loop.

What a command raises is its answer, whatever it is. But for Closed: the keeper is gone, and so must the arbiter be.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.audit import SHOWN, Audit
from circus_cg.arbiter.commands import COMMANDS, Commands, Fields
from circus_cg.arbiter.ground import audit_path
from circus_cg.arbiter.remote import Remote
from circus_cg.core.access import Role
from circus_cg.core.line import one_line
from circus_cg.errors import CircusCgError
from circus_cg.host import clock
from circus_cg.host.dirs import Dirs
from circus_cg.keeper.audit import opened
from circus_cg.keeper.log import say
from circus_cg.keeper.wire import Closed
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.server import HERE, Peer, Reply, Server, Work


class Endpoints:
    """The local endpoint, and the one on the network if the configuration wants it."""

    def __init__(self, arbiter: Arbiter, places: Dirs, audit_fd: int | None) -> None:
        boot = arbiter.boot
        path = audit_path(boot.spec.control, places)
        audit = self._audit = Audit(opened(path) if audit_fd is None else audit_fd, path)
        handle = Control(Commands(arbiter), audit).handle
        self._local = Server(handle)
        self._local.bind(places.endpoint)
        self._remote = None if boot.network is None else Remote(boot.spec.control, boot.network, handle, audit)

    def close(self) -> None:
        self._audit.flush()
        self._local.close()
        if self._remote is not None:
            self._remote.close()


LONGEST = 500  # characters of an error that nobody foresaw
UNREADABLE = rpc.Request(command="")


class Control:
    def __init__(self, commands: Commands, audit: Audit) -> None:
        self._commands = commands
        self._audit = audit
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._flushing = False

    def handle(self, body: bytes, peer: Peer, reply: Reply) -> Work | None:
        request = UNREADABLE
        try:
            request = rpc.decode_request(body)
            outcome = self._commands.begin(request.command, request.properties, peer.caller, reply)
        except Closed:
            raise
        except Exception as wrong:
            self._refuse(request, peer, reply, wrong)
            return None
        if isinstance(outcome, dict):
            self._answer(request, peer, reply, outcome)
            return None
        task = self._loop.create_task(self._wait(outcome, request, peer, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Work(task, _only_looks(request.command))

    async def _wait(self, outcome: Awaitable[Fields], request: rpc.Request, peer: Peer, reply: Reply) -> None:
        try:
            fields = await outcome
        except Closed:
            raise
        except Exception as wrong:
            self._refuse(request, peer, reply, wrong)
        except asyncio.CancelledError:
            self._audited(request, peer, "nobody waited", None)
            raise
        else:
            self._answer(request, peer, reply, fields)

    def _answer(self, request: rpc.Request, peer: Peer, reply: Reply, fields: Fields) -> None:
        try:
            body = rpc.ok(request.id, clock.wall(), fields) if request.wants_reply else b""
        except Exception as wrong:  # before it is called ok
            self._refuse(request, peer, reply, wrong)
            return
        self._audited(request, peer, "ok", None)
        if request.wants_reply:
            reply(body)

    def _refuse(self, request: rpc.Request, peer: Peer, reply: Reply, wrong: Exception) -> None:
        reason = str(wrong)
        match wrong:
            case rpc.Forbidden():
                result, errno = "forbidden", wrong.errno
            case rpc.BadMessage():
                result, errno = "refused", wrong.errno
            case CircusCgError():
                result, errno = "refused", rpc.Errno.COMMAND_ERROR
            case OSError():
                result, errno = "failed", rpc.Errno.OS_ERROR
            case _:  # a bug of ours, which whoever may ask could use against the arbiter again and again
                result, errno = "failed", rpc.Errno.NOT_SPECIFIED
                doing, kind = one_line(request.command, SHOWN), type(wrong).__name__
                reason = f"cannot {doing}: internal error ({kind}); the daemon's log says more"
                say(
                    "arbiter",
                    f"internal error in {doing} at {_place(wrong)}: {one_line(repr(wrong), LONGEST)}",
                    "error",
                )
        self._audited(request, peer, result, errno)
        if request.wants_reply:
            reply(rpc.error(request.id, clock.wall(), reason, errno))

    def _audited(self, request: rpc.Request, peer: Peer, result: str, errno: int | None) -> None:
        """Who may open the local endpoint may read what the audit would tell; `--watch` asks again and again.

        What changed something is written before its answer leaves, the rest at the end of the turn.
        """
        if not _only_looks(request.command):
            self._audit.command(peer, request.command, request.properties, result, errno)
        elif peer is not HERE:
            self._audit.look(peer, request.command, request.properties, result, errno)
            if not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._audit.flush()


def _only_looks(command: str) -> bool:
    known = COMMANDS.get(command.lower())
    return known is None or known.role is Role.OBSERVE


def _place(raised: Exception) -> str:
    """Where in the code, innermost last."""
    return " ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(raised.__traceback__)[-3:])
