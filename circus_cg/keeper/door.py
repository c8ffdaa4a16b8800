"""Root's own way to the keeper, past the arbiter: a socket in the runtime directory, one question a connection.

The file is 0600 and who connects must be root or the keeper's own user (SO_PEERCRED). Nothing here waits for an asker.
"""

import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message
from circus_cg.keeper.wire import Channel, Closed, lift

ASKERS_MAX = 16  # at a time; more wait in the kernel's queue
_PEER = struct.Struct("3i")  # pid, uid, gid


class Asker:
    """Who is answered once, if it is still there."""

    def __init__(self, sock: socket.socket) -> None:
        self.fd = sock.fileno()
        self._channel = Channel(sock)

    def answer(self, message: Message) -> None:
        with suppress(Closed):
            self._channel.send(message)
        self._channel.close()

    def receive(self) -> list[Message]:
        return self._channel.receive(1)

    def close(self) -> None:
        self._channel.close()


class Door:
    """`asked(message, asker)`: from then on the asker is the other's, to answer or close."""

    def __init__(self, epoll: select.epoll, listener: int, asked: Callable[[Message, Asker], None]) -> None:
        self._epoll, self._asked = epoll, asked
        self._listener = socket.socket(fileno=listener)
        self._listener.setblocking(False)
        self._askers: dict[int, Asker] = {}
        self._open = True
        epoll.register(listener, select.EPOLLIN)

    def __contains__(self, fd: int) -> bool:
        return fd in self._askers or fd == self._listener.fileno()

    def on_readable(self, fd: int) -> None:
        if fd in self._askers:
            self._hear(fd)
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # it has gone again, or there is no descriptor left for it
            return
        _, uid, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            sock.close()
            return
        asker = Asker(sock)
        self._askers[asker.fd] = asker
        self._epoll.register(asker.fd, select.EPOLLIN)
        self._listen()

    def _hear(self, fd: int) -> None:
        asker = self._askers[fd]
        try:
            messages = asker.receive()
        except Closed:
            messages = None
        if messages == []:
            return
        self._epoll.unregister(fd)
        del self._askers[fd]
        self._listen()
        if messages is None:
            asker.close()
            return
        try:
            self._asked(messages[0], asker)
        except Exception as bad:  # whatever it is: the keeper must not die of what it was told
            say("keeper", f"cannot serve a request of root: {type(bad).__name__}: {bad}")
            asker.close()

    def _listen(self) -> None:
        """As long as there is room; epoll would tell of the others again and again."""
        room = len(self._askers) < ASKERS_MAX
        if room != self._open:
            self._open = room
            self._epoll.modify(self._listener.fileno(), select.EPOLLIN if room else 0)


def listen(path: str) -> int:
    """Of a daemon that holds its name; a socket that an earlier one left is replaced. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as sock:
        before = os.umask(0o177)  # 0600 from the first moment
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(ASKERS_MAX)
        return lift(sock.fileno())


def ask(path: str, question: Message, seconds: float) -> Message:
    """The asker's side. Raises OSError when nobody listens, TimeoutError, Closed when the keeper leaves unanswering."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as sock:
        sock.connect(path)
        channel = Channel(sock)
        channel.send(question)
        if not select.select([sock], [], [], seconds)[0]:
            raise TimeoutError
        return channel.receive(1)[0]
