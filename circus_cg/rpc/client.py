"""The synchronous client that `circus-cg ctl` uses. It imports no more than a quick command line can pay for."""

import json
import math
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import zmq

from circus_cg.errors import CommandRefused, TimedOut

MONITOR = "inproc://monitor"
LOOK = 5.0  # seconds of waiting before the next look whether there still is a daemon
LOST = "the connection was lost before the answer came; look whether it was done"


class Client:
    def __init__(
        self,
        endpoint: str,
        timeout: float,
        clock: Callable[[], float],
        alive: Callable[[str], None] = lambda doing: None,
    ) -> None:
        """`timeout`: seconds; `clock` counts them. `alive` raises when there is no daemon that could answer."""
        self._endpoint, self._timeout, self._clock, self._alive = endpoint, timeout, clock, alive

    def dial(self, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        """A connection of its own, to ask more than one question over."""
        socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        socket.connect(self._endpoint)
        return socket

    def call(self, command: str, timeout: float | None = None, /, **properties: Any) -> dict[str, Any]:
        """The reply's fields. Raises TimedOut, CommandRefused, and what `alive` does."""
        wait = self._timeout if timeout is None else timeout
        request = {"id": os.urandom(16).hex(), "command": command, "properties": properties}
        context: zmq.Context[Any] = zmq.Context()
        unwatched = ExitStack()
        try:
            socket = context.socket(zmq.DEALER)
            socket.monitor(MONITOR, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
            unwatched.callback(socket.disable_monitor)
            monitor = context.socket(zmq.PAIR)
            monitor.connect(MONITOR)
            socket.connect(self._endpoint)
            socket.send(json.dumps(request).encode())
            reply: dict[str, Any] = json.loads(self._answer(socket, monitor, command, wait))
        finally:
            unwatched.close()  # libzmq's own thread would wait for ever to tell a monitor that is closed
            context.destroy(linger=0)  # closes the sockets too, wherever Ctrl-C came
        if reply.get("status") == "error":  # `status NAME` answers with the watcher's own, as circus does
            raise CommandRefused(str(reply.get("reason", "refused without a reason")))
        return reply

    def _answer(self, socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes], command: str, wait: float) -> bytes:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        met, end = False, self._clock() + wait
        while True:
            left = max(0.0, end - self._clock())
            ready = dict(poller.poll(math.ceil(min(left, LOOK) * 1000)))
            if socket in ready:
                return socket.recv()
            if monitor in ready:
                event = int.from_bytes(monitor.recv_multipart()[0][:2], sys.byteorder)  # pyzmq's own would cost asyncio
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    met = True
                elif met and not socket.poll(0):  # the next arbiter knows nothing of what this one was asked
                    raise TimedOut(f"cannot {command}: {LOST}")
            elif left <= LOOK:
                raise TimedOut(f"cannot {command}: no answer in {wait:g} s; `--timeout` waits longer")
            else:
                self._alive(command)
