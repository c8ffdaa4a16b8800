"""Connections to the network endpoint: counted, and ended, which libzmq itself does for nobody.

A connection is new until its first message, then it belongs to a key. libzmq tells of both ends of its life by the
socket's monitor, with the descriptor: ours to shut down, libzmq's to close.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeGuard

import zmq

from circus_cg.rpc.drain import Drain, has_message

MONITOR = "inproc://door"
MAPPED = "::ffff:"  # IPv4, at a socket for both
ENDS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
EVENT = struct.Struct("=Hi")  # what, and its descriptor: pyzmq's own parser takes ten times as long, in a flood
ACCEPTED, NOBLOCK = int(zmq.EVENT_ACCEPTED), int(zmq.NOBLOCK)
EVENTS_AT_ONCE = 4  # in a turn of the loop: 0.1 ms


class TooMany(Exception):
    """The connection was ended: there are enough."""


class Connection:
    """`ends` are the tasks that nobody waits for any more when it is over."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.origin = _origin(fd)
        self.user = ""  # as the ZAP handler named it: its key, and a number
        self.key = ""
        self.number = 0  # those that were authenticated later have higher ones
        self.address = ""
        self.open = True
        self.refused = 0  # requests in a row
        self.said: set[str] = set()  # why it was turned away
        self.ends: set[asyncio.Task[None]] = set()


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.SocketType]:
    """A connection that is libzmq's to close, held meanwhile: what is asked of it and what is done to it is one file,
    whoever closes it. Raises OSError: by now it is closed, or that number is no socket. Told what it is to be, Python
    asks the kernel for no more.
    """
    copy = os.dup(fd)
    try:
        found = socket.SocketType(socket.AF_INET6, socket.SOCK_STREAM, 0, copy)
    except OSError:
        os.close(copy)
        raise
    try:
        yield found
    finally:
        found.close()


def _origin(fd: int) -> str:
    """The address, or the network of 64 bits that somebody with IPv6 has for himself. "": it is over already, and that
    number may be another socket's by now, one that isn't of IP.
    """
    try:
        with _borrowed(fd) as found:
            name = found.getpeername()
            host = name[0].partition("%")[0] if _is_of_ip(name) else ""
            mapped = host.startswith(MAPPED)
            return host if ":" not in host or mapped else socket.inet_pton(socket.AF_INET6, host)[:8].hex()
    except OSError:
        return ""


def _is_of_ip(name: object) -> TypeGuard[tuple[str, int]]:
    """Of a socket: only one of IP has a tuple that begins with an address and a port."""
    return isinstance(name, tuple) and isinstance(name[0], str) and isinstance(name[1], int)


class Door:
    """At most `most` connections of keys, half of them of one; and `most` new ones, of which the oldest goes first of
    the origin that has the most.

    So who floods us with new ones doesn't keep out who has a key: a handshake takes milliseconds, or the flood comes
    from elsewhere.
    """

    def __init__(self, watched: zmq.Socket[bytes], most: int) -> None:
        self._most = most
        self._new: dict[int, Connection] = {}
        self._new_of: dict[str, dict[int, Connection]] = {}  # by origin, in the order in which they came
        self._known: dict[int, Connection] = {}
        self.speaking: dict[str, Connection] = {}  # the same, by `user`
        self._port = 0
        self._watched = watched
        watched.monitor(MONITOR, zmq.EVENT_ACCEPTED | ENDS)
        self._monitor = watched.context.socket(zmq.PAIR)
        self._monitor.setsockopt(zmq.RCVHWM, 0)  # a full pipe would stop libzmq's own thread
        self._monitor.connect(MONITOR)
        self._drain = Drain(self._monitor, self._on_event, EVENTS_AT_ONCE)

    def open(self, port: int) -> None:
        self._port = port

    def close(self) -> None:
        self._watched.disable_monitor()
        self._drain.close()

    def look(self) -> None:
        """All that has happened to connections is in our books after this."""
        while has_message(self._monitor):
            self._on_event()

    def admit(self, fd: int, user: str, address: str) -> Connection | None:
        """The connection whose first message came; None: it is over already. Raises TooMany.

        A descriptor may be another connection's by now: the one with the highest number has it.
        """
        self.look()
        key, _, text = user.partition(" ")
        number = int(text)
        known = self._known.get(fd)
        if known is not None and known.number >= number:
            return None
        connection = self._taken(fd)
        if known is not None:
            self._forget(fd)
            connection = Connection(fd)
        if connection is None:
            return None
        own = sum(1 for other in self._known.values() if other.key == key)
        if len(self._known) >= self._most or own >= max(1, self._most // 2):
            self.end(connection)
            raise TooMany
        connection.user, connection.key, connection.number, connection.address = user, key, number, address
        self._known[fd] = self.speaking[user] = connection
        return connection

    def end_all_of(self, key: str) -> None:
        for connection in [one for one in self._known.values() if one.key == key]:
            self.end(connection)

    def end(self, connection: Connection) -> None:
        """Its number may be another file's by now: what is no connection to our port is left alone."""
        connection.open = False
        self._forget(connection.fd)
        with suppress(OSError), _borrowed(connection.fd) as found:
            if self._is_ours(found):
                found.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, found: socket.SocketType) -> bool:
        """A connection to our port."""
        name = found.getsockname()
        if not (_is_of_ip(name) and name[1] == self._port):
            return False
        return not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    def _forget(self, fd: int) -> None:
        for connection in (self._taken(fd), self._known.pop(fd, None)):
            if connection is not None:
                connection.open = False
                self.speaking.pop(connection.user, None)
                for task in connection.ends:
                    task.cancel()

    def _taken(self, fd: int) -> Connection | None:
        """Out of the new ones."""
        connection = self._new.pop(fd, None)
        if connection is not None:
            same = self._new_of[connection.origin]
            del same[fd]
            if not same:
                del self._new_of[connection.origin]
        return connection

    def _one_too_many(self) -> Connection:
        most = max(self._new_of.values(), key=len)
        return next(iter(most.values()))

    def _on_event(self) -> None:
        told, _address = self._monitor.recv_multipart(NOBLOCK)
        kind, fd = EVENT.unpack(told)
        self._forget(fd)
        if kind == ACCEPTED:
            connection = self._new[fd] = Connection(fd)
            self._new_of.setdefault(connection.origin, {})[fd] = connection
            if len(self._new) > self._most:
                self.end(self._one_too_many())
