"""Messages over a SOCK_SEQPACKET pair: JSON, one a packet; over 64 kB in a memfd. Nonblocking on both sides.

The descriptors in a message's "fds" go with it: the sender keeps its own, the receiver gets others.
"""

import array
import errno
import fcntl
import json
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from circus_cg.keeper.messages import Message

INLINE = 65536  # a packet over about 213 kB is EMSGSIZE; larger bodies travel by descriptor
MAX_FDS = 200  # the kernel refuses more than 253
LOWEST = 10  # of descriptors kept or passed on: those below have a meaning at the other end
ANCILLARY = socket.CMSG_SPACE(4 * MAX_FDS)
INLINE_MARK, MEMFD_MARK = b"\x00", b"\x01"


class Closed(Exception):
    """The other side is gone."""


class Channel:
    """One end. `send` never blocks: what the socket won't take waits here until `flush`.

    Descriptors that come are closed at once, unless this end `takes_fds`.
    """

    def __init__(self, sock: socket.socket, *, takes_fds: bool = False) -> None:
        sock.setblocking(False)
        self._sock, self._takes_fds = sock, takes_fds
        self._buffer = bytearray(INLINE + 1)  # one for all: a fresh 64 kB for each packet costs more than the packet
        self.on_backlog: Callable[[], None] | None = None  # called when a message had to be queued
        self._queue: deque[tuple[bytes, list[int]]] = deque()  # and descriptors that are ours to close
        self._silent = False  # nothing more can be sent

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        return bool(self._queue)

    @property
    def backlog(self) -> int:
        return len(self._queue)

    def send(self, message: Message) -> None:
        """Raises Closed when nobody is there any more, on either side, and after `shut_sending`; OSError when there is
        no descriptor left for its own or its body, and nothing is sent.
        """
        if self._silent or self._sock.fileno() < 0:
            raise Closed
        body = json.dumps(message, separators=(",", ":")).encode()
        inline = len(body) < INLINE
        held: list[int] = []
        try:
            if not inline:
                held.append(memfd("circus-cg-message", body))
            for fd in message.get("fds", ()):
                held.append(os.dup(fd))  # it may have to wait
        except OSError:
            close_all(held)
            raise
        self._queue.append((INLINE_MARK + body if inline else MEMFD_MARK, held))
        if len(self._queue) == 1:
            self.flush()
            if self._queue and self.on_backlog is not None:
                self.on_backlog()

    def flush(self) -> None:
        while self._queue:
            data, fds = self._queue[0]
            try:
                if fds:
                    socket.send_fds(self._sock, [data], fds)
                else:
                    self._sock.send(data)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionError) as cause:
                raise Closed from cause
            self._queue.popleft()
            close_all(fds)

    def receive(self, limit: int = 64) -> list[Message]:
        """Up to `limit` messages that are there now; raises Closed at the end of the stream."""
        messages: list[Message] = []
        while len(messages) < limit:
            try:
                data, fds = self._receive_one()
            except BlockingIOError:
                break
            except ConnectionResetError:
                continue  # it died with something of ours unread; what it said before is still to come, then the end
            if not data:
                if messages:
                    break  # the end is seen again next time
                raise Closed
            messages.append(self._decoded(data, fds))
        return messages

    def shut_sending(self) -> None:
        """The other side reads to the end of what was sent; what it says is still heard. What waited is dropped."""
        self._silent = True
        self._drop()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def shut(self) -> None:
        """For every holder of this end."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()
        self._drop()

    def _drop(self) -> None:
        for _, fds in self._queue:
            close_all(fds)
        self._queue.clear()

    def _receive_one(self) -> tuple[bytes, list[int]]:
        size, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        data = bytes(self._buffer[:size])
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        return data, list(fds)

    def _decoded(self, data: bytes, fds: list[int]) -> Message:
        """A packet that can't be understood is a message of no known operation: the receiver says so and goes on."""
        inline = data[:1] == INLINE_MARK
        try:
            message = json.loads(data[1:] if inline else _slurp(fds[0]))
            if not isinstance(message, dict):
                return {"op": f"not an object: {str(message)[:40]}"}
            if self._takes_fds and "fds" in message:
                message["fds"], fds = fds[0 if inline else 1 :], fds[: 0 if inline else 1]
            return message
        except (ValueError, RecursionError, IndexError, OSError) as bad:
            return {"op": f"undecodable: {bad}"}
        finally:
            close_all(fds)


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


def lift(fd: int, lowest: int = LOWEST, command: int = fcntl.F_DUPFD_CLOEXEC) -> int:
    """A copy at `lowest` or above: posix_spawn's dup2 onto the same number would keep close-on-exec. Raises OSError."""
    try:
        return fcntl.fcntl(fd, command, lowest)
    except OSError as failed:
        if failed.errno == errno.EINVAL:  # all numbers from there on are beyond RLIMIT_NOFILE, fcntl(2)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None
        raise


def memfd(name: str, body: bytes) -> int:
    """A descriptor of memory that holds `body`. Raises OSError, and keeps none then."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.close(fd)
        raise
    return fd


def _slurp(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    parts = []
    offset = 0
    while offset < size:
        part = os.pread(fd, size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
