"""The local control endpoint: a ROUTER on a 0600 unix socket, read on the loop's own readiness, never blocking.

A plain socket on ZMQ_FD with non-blocking drains: half the latency of zmq.asyncio (measured).
ZMQ_FD is edge-triggered, so after each send the events are looked at again.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import zmq

from circus_cg.core.access import LOCAL, Caller
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

DRAIN = 32  # requests served before the loop gets its turn
QUEUED = 1000  # replies a slow client may leave unread before they are dropped


class Server:
    """`handle(body, peer, reply)` is called for each request; `reply` may be called until the work is done."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)  # ms: the reply to `quit` still goes out
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._loop = asyncio.get_running_loop()

    def bind(self, endpoint: str) -> None:
        """Readable and writable by this user alone, from its first instant."""
        path = Path(endpoint.removeprefix("ipc://"))
        path.unlink(missing_ok=True)  # left by an arbiter that was killed
        before = os.umask(0o177)
        try:
            self._socket.bind(endpoint)
        finally:
            os.umask(before)
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        self._on_readable()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._context.term()

    def _readable(self) -> bool:
        return bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def _on_readable(self) -> None:
        for _ in range(DRAIN):
            if not self._readable():
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # A DEALER sends [id, body], a REQ [id, b"", body]; whatever comes before the body goes back as it came.
            *envelope, body = frames
            if envelope and len(frames) <= MAX_PARTS:
                self._handle(body, HERE, self._replier(envelope))
        self._loop.call_soon(self._on_readable)  # more may wait, and its edge is already spent

    def _replier(self, envelope: list[bytes]) -> Reply:
        def reply(body: bytes) -> bool:
            if self._socket.closed:
                return False
            try:
                self._socket.send_multipart([*envelope, body], zmq.NOBLOCK)
            except zmq.ZMQError:
                return False
            if self._readable():
                self._loop.call_soon(self._on_readable)
            return True

        return reply
