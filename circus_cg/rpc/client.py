"""The synchronous client that `circus-cg ctl` uses."""

import uuid
from typing import Any

import msgspec
import zmq

from circus_cg.errors import CommandRefused, TimedOut


class Client:
    def __init__(self, endpoint: str, timeout: float = 5.0) -> None:
        self._endpoint, self._timeout = endpoint, timeout

    def call(self, command: str, timeout: float | None = None, **properties: Any) -> dict[str, Any]:
        """The reply's fields. Raises TimedOut, CommandRefused."""
        wait = self._timeout if timeout is None else timeout
        request = {"id": uuid.uuid4().hex, "command": command, "properties": properties}
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self._endpoint)
            socket.send(msgspec.json.encode(request))
            if not socket.poll(int(wait * 1000)):
                raise TimedOut(f"cannot {command}: no answer in {wait:g} s; `--timeout` waits longer")
            reply: dict[str, Any] = msgspec.json.decode(socket.recv())
        if reply.get("status") == "error":  # `status NAME` answers with the watcher's own, as circus does
            raise CommandRefused(str(reply.get("reason", "refused without a reason")))
        return reply
