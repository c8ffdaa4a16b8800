"""The local control endpoint: a ROUTER on a 0600 unix socket. And what every server of requests says to its handler."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import zmq

from circus_cg.core.access import LOCAL, Caller
from circus_cg.rpc.local import LocalSocket
from circus_cg.rpc.messages import MAX_MESSAGE, MAX_PARTS


class Peer(NamedTuple):
    """Who asks, and whence; `key` is its public key, empty at the local endpoint."""

    caller: Caller
    address: str
    key: str = ""


class Work(NamedTuple):
    """A request that is being answered; `looks`: nothing is lost if it is cancelled, once nobody waits for it."""

    task: asyncio.Task[None]
    looks: bool


Reply = Callable[[bytes], bool]  # False: that client is gone, or doesn't read
Handler = Callable[[bytes, Peer, Reply], Work | None]  # None: it is answered

HERE = Peer(LOCAL, "local")

QUEUED = 1000  # replies a slow client may leave unread before they are dropped


class Server:
    """`handle(body, peer, reply)` is called for each request; `reply` may be called now or later, and for a
    subscription again and again.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        linger = 200  # ms: the reply to `quit` still goes out
        options = {zmq.LINGER: linger, zmq.MAXMSGSIZE: MAX_MESSAGE, zmq.SNDHWM: QUEUED}
        self._socket = LocalSocket(zmq.ROUTER, options, self._receive)
        self.bind, self.close = self._socket.bind, self._socket.close

    def _receive(self) -> None:
        # A DEALER sends [id, body], a REQ [id, b"", body]; whatever comes before the body goes back as it came.
        *envelope, body = self._socket.receive()
        if envelope and len(envelope) < MAX_PARTS:
            self._handle(body, HERE, self._replier(envelope))

    def _replier(self, envelope: list[bytes]) -> Reply:
        def reply(body: bytes) -> bool:
            return self._socket.send([*envelope, body])

        return reply
