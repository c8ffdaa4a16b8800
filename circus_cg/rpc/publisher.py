"""A local PUB endpoint that knows who listens to what: nothing is made for nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq

from circus_cg.rpc.topics import wanted

QUEUED = 1000  # messages that a subscriber may leave unread; then it loses some, as of any PUB
LONGEST = 256  # bytes of a subscription


class Publisher:
    """`changed` is called when somebody begins or ends to listen to some topic."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST)
        self._loop = asyncio.get_running_loop()
        self.prefixes: set[str] = set()

    def bind(self, endpoint: str) -> None:
        """Open to this user alone, from its first instant."""
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

    def wants(self, topic: str) -> bool:
        """Some message of this topic, or below it, would be heard."""
        return wanted(self.prefixes, topic)

    def send(self, topic: str, body: dict[str, Any]) -> None:
        try:
            self._socket.send_multipart([topic.encode(), msgspec.json.encode(body)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return
        # ZMQ_FD is edge-triggered: a send may have used up the edge of a subscription.
        self._loop.call_soon(self._on_readable)

    def _on_readable(self) -> None:
        """Subscriptions: one byte that says begin or end, then the prefix. The library tells of each prefix once."""
        before = set(self.prefixes)
        while not self._socket.closed:
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.ZMQError:
                break
            prefix = message[1:].decode(errors="replace")
            if message[:1] == b"\1":
                self.prefixes.add(prefix)
            elif message[:1] == b"\0":
                self.prefixes.discard(prefix)
        if before != self.prefixes:
            self._changed()
