"""What the workers say of themselves, held here so that no arbiter's death loses a word of it.

A life that asks for one has a notify socket (sd_notify(3)), bound at a path that its user alone can write to, or a
notification pipe (s6). The keeper makes and holds them and hands them to each arbiter, which reads; what is said while
no arbiter lives waits in the kernel.
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from circus_cg.keeper.messages import Key, Message

SOCKET_PATH_MAX = 107  # bytes: sun_path less its NUL


class Line(NamedTuple):
    """Descriptors; `path` is where the socket is bound. -1: there is none."""

    path: str
    socket: int
    pipe: int


class Hearing:
    """`tell` sends a message to the arbiter, with the descriptors that it names."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._lines: dict[Key, Line] = {}

    def open(self, message: Message) -> dict[int, int]:
        """Before a life that asks for it begins: number -> what the worker is to have there. Raises OSError."""
        key, path, number = message["key"], message.get("notify"), message.get("notification_fd")
        if path is None and number is None:
            return {}
        number = None if number is None else int(number)  # a bad one is refused before anything is made
        self.close(key)  # asked for again: the launcher died
        bound = -1 if path is None else _bound(path, message.get("uid"), message.get("gid"))
        line = self._lines[key] = Line(path or "", bound, -1)
        given: dict[int, int] = {}
        try:
            if number is not None:
                reader, given[number] = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                line = self._lines[key] = line._replace(pipe=reader)
                os.set_blocking(given[number], True)
            self._tell(_hears(key, line))
        except OSError:
            for fd in given.values():
                os.close(fd)
            self.close(key)
            raise
        return given

    def close(self, key: Key) -> None:
        """The life is over, or never began."""
        line = self._lines.pop(key, None)
        if line is None:
            return
        for fd in (line.socket, line.pipe):
            if fd >= 0:
                os.close(fd)
        if line.path:
            with suppress(OSError):
                os.unlink(line.path)

    def close_all(self) -> None:
        for key in list(self._lines):
            self.close(key)

    def inventory(self) -> list[Message]:
        """For a new arbiter."""
        return [_hears(key, line) for key, line in self._lines.items()]

    def save(self) -> Message:
        """For the next image of this process, to which the descriptors go too."""
        fds = [fd for line in self._lines.values() for fd in (line.socket, line.pipe) if fd >= 0]
        return {"lines": [[key, line] for key, line in self._lines.items()], "fds": fds}

    def take_over(self, saved: Message) -> None:
        self._lines = {Key(*key): Line(*line) for key, line in saved["lines"]}


def _hears(key: Key, line: Line) -> Message:
    """The socket comes first."""
    fds = [fd for fd in (line.socket, line.pipe) if fd >= 0]
    return {"op": "hears", "key": key, "socket": line.socket >= 0, "pipe": line.pipe >= 0, "fds": fds}


def _bound(path: str, uid: int | None, gid: int | None) -> int:
    """A datagram socket that tells who wrote; for that user alone. What an earlier life left there goes."""
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        os.fchmod(made.fileno(), 0o600)  # before it is bound: the file is made with this mode
        with suppress(FileNotFoundError):
            os.unlink(path)
        made.bind(path)
        if uid is not None or gid is not None:
            os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        return made.detach()
    except OSError:
        made.close()
        raise
