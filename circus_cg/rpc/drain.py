"""A socket read on the loop's own readiness, never blocking. ZMQ_FD is edge-triggered: who has sent looks again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import zmq

EVENTS, POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)  # pyzmq's enumerations cost 4 us a look
TURN = 32  # messages read before the loop gets its turn


def has_message(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.getsockopt(EVENTS)) & POLLIN)


class Drain:
    """`receive()` takes one message from `socket`; it is called while there are some, and on each edge, at most `turn`
    times in a turn of the loop.
    """

    def __init__(self, socket: zmq.Socket[bytes], receive: Callable[[], None], turn: int = TURN) -> None:
        self._socket, self._receive, self._turn = socket, receive, turn
        self._loop = asyncio.get_running_loop()
        self._reading = self._scheduled = False
        self._loop.add_reader(socket.fileno(), self.now)
        self.soon()

    def soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.now)

    def after_send(self) -> None:
        """Who sends from within `receive` need not care, but anybody else spends an edge."""
        if not self._reading and self._waits():
            self.soon()

    def now(self) -> None:
        self._scheduled = False
        self._reading = True
        try:
            for _ in range(self._turn):
                if self._socket.closed or not self._waits():
                    return
                self._receive()
        finally:
            self._reading = False
        os.sched_yield()  # in a flood there is more, and libzmq's thread may wait for this very CPU: 1 ms and more
        self.soon()

    def close(self) -> None:
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _waits(self) -> bool:
        return has_message(self._socket)
