"""A local PUB endpoint that knows who listens to what: nothing is made for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from circus_cg.rpc.local import LocalSocket
from circus_cg.rpc.topics import wanted

QUEUED = 1000  # messages that a subscriber may leave unread; then it loses some, as of any PUB
LONGEST = 256  # bytes of a subscription


class Publisher:
    """`changed` is called when somebody begins or ends to listen to some topic."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        options = {zmq.LINGER: 0, zmq.SNDHWM: QUEUED, zmq.MAXMSGSIZE: LONGEST}
        self._socket = LocalSocket(zmq.XPUB, options, self._receive)
        self.bind, self.close = self._socket.bind, self._socket.close
        self.prefixes: set[str] = set()

    def wants(self, topic: str) -> bool:
        """Some message of this topic, or below it, would be heard."""
        return wanted(self.prefixes, topic)

    def send(self, topic: str, body: dict[str, Any]) -> None:
        self._socket.send([topic.encode(), msgspec.json.encode(body)])

    def _receive(self) -> None:
        """A subscription: one byte that says begin or end, then the prefix. The library tells of each prefix once."""
        message, *more = self._socket.receive()
        prefix = message[1:].decode(errors="replace")
        before = len(self.prefixes)
        if message[:1] == b"\1" and not more:
            self.prefixes.add(prefix)
        elif message[:1] == b"\0" and not more:
            self.prefixes.discard(prefix)
        if len(self.prefixes) != before:
            self._changed()
