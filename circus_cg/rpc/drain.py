"""A socket read on the loop's own readiness, never blocking. ZMQ_FD is edge-triggered: who has sent looks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

TURN = 32  # messages read before the loop gets its turn


class Drain:
    """`receive()` takes one message from `socket` or raises zmq.Again; it is called until then, and on each edge."""

    def __init__(self, socket: zmq.Socket[bytes], receive: Callable[[], None]) -> None:
        self._socket, self._receive = socket, receive
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._loop.add_reader(socket.fileno(), self.now)
        self.soon()

    def soon(self) -> None:
        """After a send, or wherever an edge may have been spent."""
        if not self._scheduled and not self._socket.closed:
            self._scheduled = True
            self._loop.call_soon(self.now)

    def after_send(self) -> None:
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self.soon()

    def now(self) -> None:
        self._scheduled = False
        if self._socket.closed:
            return
        for _ in range(TURN):
            try:
                self._receive()
            except zmq.Again:
                return
        self.soon()

    def close(self) -> None:
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
