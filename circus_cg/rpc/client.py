"""The synchronous client that `circus-cg ctl` uses. It imports no more than a quick command line can pay for."""

import json
import os
from typing import Any

import zmq

from circus_cg.errors import CommandRefused, TimedOut


class Client:
    def __init__(self, endpoint: str, timeout: float = 5.0) -> None:
        """`timeout`: seconds."""
        self._endpoint, self._timeout = endpoint, timeout

    def dial(self, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        """A connection of its own, to ask more than one question over."""
        socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        socket.connect(self._endpoint)
        return socket

    def call(self, command: str, timeout: float | None = None, /, **properties: Any) -> dict[str, Any]:
        """The reply's fields. Raises TimedOut, CommandRefused."""
        wait = self._timeout if timeout is None else timeout
        request = {"id": os.urandom(16).hex(), "command": command, "properties": properties}
        context: zmq.Context[Any] = zmq.Context()
        try:
            socket = self.dial(context)
            socket.send(json.dumps(request).encode())
            if not socket.poll(int(wait * 1000)):
                raise TimedOut(f"cannot {command}: no answer in {wait:g} s; `--timeout` waits longer")
            reply: dict[str, Any] = json.loads(socket.recv())
        finally:
            context.destroy(linger=0)  # closes the socket too, wherever Ctrl-C came
        if reply.get("status") == "error":  # `status NAME` answers with the watcher's own, as circus does
            raise CommandRefused(str(reply.get("reason", "refused without a reason")))
        return reply
