"""The launcher in C, a process of its own: requests out, answers in, never waiting for either."""

import _socket
import errno
import os
import select
import struct
from collections import deque

from circus_cg.keeper.inbox import Inbox
from circus_cg.keeper.request import (
    ANSWER_SIZE,
    INLINE_MAX,
    Answer,
    Failed,
    Gone,
    Running,
    SpawnRequest,
    Started,
    decode,
    encode,
)
from circus_cg.keeper.wire import close_all, memfd

_REQUEST_FD = 3  # where launcher.c looks for its end of the pair
_ANSWERS_A_TURN = 256  # the rest stays readable: the keeper has other news too


class _Packet:
    __slots__ = ("data", "fds", "ident")

    def __init__(self, ident: int, data: bytes, fds: list[int]) -> None:
        self.ident, self.data, self.fds = ident, data, fds


class NativeLauncher:
    """`fileno()` is readable when `receive()` has news. A dead launcher is told once, as Gone, and started again by
    `restart()` or the next `submit()`; the caller reaps it, as it reaps the workers.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.pid: int | None = None  # of the launcher's process, while it is not known to be dead
        self._inbox = Inbox()
        self._socket: _socket.socket | None = None
        self._pidfd = -1
        self._queue: deque[_Packet] = deque()  # what the socket didn't take yet; its descriptors are ours
        self._in_flight: dict[int, bool] = {}  # ident -> Started was seen
        self.restart()

    def fileno(self) -> int:
        return self._inbox.fileno()

    def submit(self, request: SpawnRequest) -> None:
        """Returns at once; the caller may close the descriptors it passed. Raises ValueError for a request that can't
        be written, OSError when its body can't be stored; all later trouble is an answer.
        """
        header, body = encode(request)
        if self._socket is None:
            self.restart()
        if self._socket is None:
            self._inbox.put(Failed(request.ident, "launcher", self._start_errno, None))
            return
        self._in_flight[request.ident] = False
        fds = list(request.fds.values())
        stored = -1
        try:
            if len(body) > INLINE_MAX:
                stored = memfd("circus-cg-spawn", body)
                fds.insert(0, stored)
                body = b""
            packet = _Packet(request.ident, header + body, fds)
            if self._queue or not self._sent(self._socket, packet):
                packet.fds = _duplicates(fds)
                self._queue.append(packet)
                self._inbox.rewatch(self._socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        except OSError:
            del self._in_flight[request.ident]
            raise
        finally:
            if stored >= 0:
                os.close(stored)

    def receive(self) -> list[Answer]:
        """What happened since; empty when nothing did."""
        answers = self._inbox.take()
        if self._socket is None:
            return answers
        # A child held up in a frozen group may keep the launcher's end open: its death is told by its pidfd. It is
        # looked at before the socket, so that what was said before the death is heard.
        dead = self._pidfd in self._inbox.ready()
        self._flush(self._socket)
        for _ in range(_ANSWERS_A_TURN):
            try:
                data = self._socket.recv(ANSWER_SIZE)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            if not data:
                dead = True
                break
            self._note(decode(data), answers)
        else:
            return answers
        if dead:
            self._abandon()
            answers.append(self._gone())
        return answers

    def restart(self) -> None:
        """Start a new process; what was in flight with the old one is forgotten. Never raises: when it can't start,
        each request fails at stage "launcher" until it can.
        """
        self._abandon()
        self._in_flight.clear()
        self._start_errno = 0
        try:
            self._start()
        except OSError as cause:
            self._abandon()
            self._start_errno = cause.errno or errno.EIO

    def close(self) -> None:
        """The launcher leaves by itself; children in set-up go on."""
        self._abandon()
        self._inbox.close()

    def _start(self) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        ours.setblocking(False)
        self._socket = ours
        self._inbox.watch(ours.fileno())
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), _REQUEST_FD)]
        try:
            self.pid = os.posix_spawn(self._path, ["circus-cg-launcher"], {}, file_actions=actions, setsigmask=())
        finally:
            theirs.close()
        self._pidfd = os.pidfd_open(self.pid)
        self._inbox.watch(self._pidfd)

    def _abandon(self) -> None:
        self.pid = None
        if self._socket is not None:
            self._inbox.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._pidfd >= 0:
            self._inbox.forget(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        while self._queue:
            close_all(self._queue.popleft().fds)

    def _gone(self) -> Gone:
        idents = [ident for ident, started in self._in_flight.items() if not started]
        unsettled = [ident for ident, started in self._in_flight.items() if started]
        self._in_flight.clear()
        return Gone(idents, unsettled)

    def _note(self, answer: Started | Running | Failed, answers: list[Answer]) -> None:
        if answer.ident not in self._in_flight:
            return  # of no request of ours
        if isinstance(answer, Started):
            self._in_flight[answer.ident] = True
        else:
            del self._in_flight[answer.ident]
        answers.append(answer)

    def _flush(self, sock: _socket.socket) -> None:
        if not self._queue:
            return
        while self._queue and self._sent(sock, self._queue[0]):
            close_all(self._queue.popleft().fds)
        if not self._queue:
            self._inbox.rewatch(sock.fileno(), select.EPOLLIN)

    def _sent(self, sock: _socket.socket, packet: _Packet) -> bool:
        """False: the socket is full, try later. What it refuses altogether has failed; what a dead launcher didn't take
        is in flight until Gone.
        """
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(packet.fds)}i", *packet.fds))]
        try:
            sock.sendmsg([packet.data], rights if packet.fds else [])
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            return True
        except OSError as refused:
            self._in_flight.pop(packet.ident, None)
            self._inbox.put(Failed(packet.ident, "request", refused.errno or errno.EIO, None))
        return True


def _duplicates(fds: list[int]) -> list[int]:
    made: list[int] = []
    try:
        for fd in fds:
            made.append(os.dup(fd))
    except OSError:
        close_all(made)
        raise
    return made
