"""The network endpoint: a ROUTER that speaks CURVE alone, and believes nothing but the key of the connection.

What libzmq holds before we see it, for one connection of a known key: up to QUEUED requests of MAX_MESSAGE bytes, and
one message without end: libzmq has no bound for the parts of a message that is still coming. A part costs it 64 bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import zmq

from circus_cg.core.access import Caller
from circus_cg.core.rate import Rate
from circus_cg.rpc.door import Connection, Door, TooMany
from circus_cg.rpc.drain import Drain
from circus_cg.rpc.messages import MAX_MESSAGE, MAX_PARTS, Errno, error
from circus_cg.rpc.server import Handler, Peer, Reply
from circus_cg.rpc.turns import RUNNING, Turns
from circus_cg.rpc.zap import DOMAIN, Zap, plain_address

NOBLOCK, SRCFD, RCVMORE = int(zmq.NOBLOCK), int(zmq.SRCFD), int(zmq.RCVMORE)  # pyzmq's enumerations are slow
SEND_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
QUEUED = 64  # messages each way that a connection may leave unread
UNREAD = 16  # parts thrown away at once; 32 times as many in one turn of the loop


class Bounds(NamedTuple):
    rate: Rate  # of one key
    connections: int
    handshake: float  # seconds


class RemoteServer:
    """`find(key)` is the caller whose public key it is, None for nobody; asked for every request and every reply.

    `noted(key, address, what)` is told of who was turned away.
    """

    def __init__(
        self,
        handle: Handler,
        find: Callable[[str], Caller | None],
        noted: Callable[[str, str, str], None],
        bounds: Bounds,
        secret: bytes,
    ) -> None:
        self._handle, self._find, self._noted, self._bounds = handle, find, noted, bounds
        self._turns: dict[str, Turns] = {}
        self._discarding = False
        self._serving: Connection | None = None  # whose request is just being handled
        self._context = zmq.Context()  # with a thread of its own: a flood here is none at the local endpoint
        self._zap = Zap(self._context, self._knock)
        self._socket = self._made(secret)
        self._door = Door(self._socket, bounds.connections)
        self._drain = Drain(self._socket, self._receive)

    def open(self, endpoint: str, listener: int) -> None:
        """Serve the connections to `listener`, a listening socket bound to `endpoint`; libzmq closes it.

        Raises zmq.ZMQError.
        """
        self._door.open(int(endpoint.rpartition(":")[2]))
        self._socket.setsockopt(zmq.IPV6, "[" in endpoint)
        self._socket.setsockopt(zmq.USE_FD, listener)
        self._socket.bind(endpoint)
        self._drain.soon()

    def close(self) -> None:
        for turns in self._turns.values():
            turns.close()
        self._door.close()
        self._drain.close()
        self._zap.close()
        self._context.term()

    def revoke(self, key: str) -> None:
        """It is nobody's any more, or may do something else: its connections end now."""
        self._door.end_all_of(key)
        if (turns := self._turns.pop(key, None)) is not None:
            turns.close()

    def _made(self, secret: bytes) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.ROUTER)
        options: dict[int, Any] = {
            zmq.LINGER: 200,  # ms: the reply to `quit` still goes out
            zmq.CURVE_SERVER: 1,
            zmq.CURVE_SECRETKEY: secret,
            zmq.ZAP_DOMAIN: DOMAIN,
            zmq.ZAP_ENFORCE_DOMAIN: 1,
            zmq.HANDSHAKE_IVL: int(self._bounds.handshake * 1000),
            zmq.MAXMSGSIZE: MAX_MESSAGE,
            zmq.RCVHWM: QUEUED,
            zmq.SNDHWM: QUEUED,
            zmq.ROUTER_MANDATORY: 1,  # a client that doesn't read is known as one
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: 60,
            zmq.TCP_KEEPALIVE_INTVL: 20,
            zmq.TCP_KEEPALIVE_CNT: 3,
        }
        for option, value in options.items():
            socket.setsockopt(option, value)
        return socket

    def _knock(self, key: str, address: str) -> bool:
        if self._find(key) is not None:
            return True
        self._noted(key, address, "unknown key")
        return False

    def _receive(self) -> None:
        if self._discarding:
            self._discard()
            return
        envelope = [
            self._socket.recv(NOBLOCK)
        ]  # a ROUTER puts the connection's id before a message, of a part at least
        frame = self._socket.recv(NOBLOCK, copy=False, track=False)
        while frame.more and not self._discarding:
            envelope.append(frame.bytes)
            self._discarding = len(envelope) >= MAX_PARTS
            frame = self._socket.recv(NOBLOCK, copy=False, track=False)
        if self._discarding and not frame.more:
            self._discarding = False
            envelope.clear()  # no more to throw away, and still too many
        self._on_message(envelope, frame)

    def _discard(self) -> None:
        """The rest of it is already here, and has to be taken out before anybody else's next message."""
        for _ in range(UNREAD):
            if not self._socket.getsockopt(RCVMORE):
                self._discarding = False
                return
            self._socket.recv(NOBLOCK)

    def _on_message(self, envelope: list[bytes], frame: Any) -> None:
        """`frame` is the body; or, of a message of too many parts, any: then there may be no envelope."""
        user = frame.get("User-Id")
        connection = self._door.speaking.get(user) or self._admitted(user, frame)
        if connection is None:  # who hangs up before its turn is not served
            return
        caller = self._find(connection.key)
        if caller is None:  # revoked, and this was on its way
            self._door.end(connection)
        elif self._discarding or not envelope:
            self._turned_away(connection, "too many parts")
            self._door.end(connection)
        else:
            self._on_request(frame.bytes, caller, connection, self._replier(envelope, connection))

    def _admitted(self, user: str, frame: Any) -> Connection | None:
        address = plain_address(frame.get("Peer-Address"))
        try:
            return self._door.admit(frame.get(SRCFD), user, address)
        except TooMany:
            self._noted(user.partition(" ")[0], address, "too many connections")
            return None

    def _on_request(self, body: bytes, caller: Caller, connection: Connection, reply: Reply) -> None:
        key = connection.key

        def start() -> asyncio.Task[None] | None:
            if not connection.open:
                return None
            work = self._handle(body, Peer(caller, connection.address, key), reply)
            if work is None:
                return None
            if work.looks:
                connection.ends.add(work.task)
                work.task.add_done_callback(connection.ends.discard)
            return work.task

        turns = self._turns.get(key)
        if turns is None:
            turns = self._turns[key] = Turns(self._bounds.rate)
        self._serving = connection
        if turns.ask(len(body), start):
            connection.refused = 0
        else:
            self._refuse(caller, connection, reply)
        self._serving = None

    def _refuse(self, caller: Caller, connection: Connection, reply: Reply) -> None:
        """Told so a few times; who doesn't listen is disconnected, and may come again."""
        self._turned_away(connection, "too many requests")
        connection.refused += 1
        if connection.refused > self._bounds.rate.queue:
            self._door.end(connection)
            return
        rate = f"key {caller.name!r} may ask {self._bounds.rate.per_second:g} times a second"
        text = f"too many requests: {rate}, and have {RUNNING} commands running; wait for answers"
        reply(error(None, 0.0, text, Errno.COMMAND_ERROR))

    def _turned_away(self, connection: Connection, what: str) -> None:
        """Once for each connection."""
        if what not in connection.said:
            connection.said.add(what)
            self._noted(connection.key, connection.address, what)

    def _replier(self, envelope: list[bytes], connection: Connection) -> Reply:
        """To this very connection: another one may have come with the same routing id, unless it has just asked."""

        def reply(body: bytes) -> bool:
            if self._socket.closed:
                return False
            if self._serving is not connection:
                self._door.look()
            if not connection.open:
                return False
            try:
                for part in envelope:  # the first one, the connection's id, is where it fails
                    self._socket.send(part, SEND_MORE)
                self._socket.send(body, NOBLOCK)
            except zmq.Again:  # it left QUEUED answers unread
                self._turned_away(connection, "reads no answers")
                self._door.end(connection)
                return False
            except zmq.ZMQError:  # it is gone
                return False
            self._drain.after_send()
            return True

        return reply
