"""Lines on stderr that never block: a reader that sleeps must not stop the supervisor."""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

STDERR = 2
LEVELS = ("debug", "info", "warning", "error")
CLEAR = 64  # the least descriptor for a file: below, others are put to where they are expected
ATOMIC = 4096  # PIPE_BUF: a pipe that polls writable takes this much at once


def _writer() -> Callable[[bytes], object]:
    """A pipe or terminal is opened anew, so that O_NONBLOCK is ours alone; a socket is asked not to wait. A file never
    blocks, and keeps its one offset for all who share it.
    """
    with suppress(OSError):
        kind = os.fstat(STDERR).st_mode
        if stat.S_ISSOCK(kind):
            sock = socket.socket(fileno=os.dup(STDERR))
            return lambda line: sock.send(line, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
            own = os.open(f"/proc/self/fd/{STDERR}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            return lambda line: os.write(own, line)
    return lambda line: os.write(STDERR, line)


_writers = [_writer()]


def _to_stderr(who: str, text: str, level: str) -> None:
    with suppress(OSError):
        _writers[0](f"circus-cg {who}: {text}\n".encode(errors="backslashreplace")[:ATOMIC])


_sinks: list[Callable[[str, str, str], None]] = [_to_stderr]
_least = [LEVELS.index("info")]


def redirect(sink: Callable[[str, str, str], None]) -> None:
    """This process's lines go to `sink(who, text, level)` instead: a library writes nothing on its caller's stderr."""
    _sinks[:] = [sink]


def to_file(path: str) -> None:
    """Append to that file from now on; others may move or truncate it. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        own = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, CLEAR)
    finally:
        os.close(fd)
    _writers[0] = lambda line: os.write(own, line)


def set_level(level: str) -> None:
    """The least of LEVELS that is written from now on."""
    _least[0] = LEVELS.index(level)


def log_as(boot: dict[str, Any]) -> None:
    """`loglevel` and `logoutput` of a boot record; what can't be opened is said, and nothing else comes of it."""
    set_level(boot.get("loglevel", "info"))
    if (path := boot.get("logoutput")) is not None:
        try:
            to_file(path)
        except OSError as refused:
            say("keeper", f"cannot log to {path}: {refused.strerror}; standard error it is")


def level() -> str:
    return LEVELS[_least[0]]


def says(level: str) -> bool:
    """Such a line would be written; for those that cost something to make."""
    return LEVELS.index(level) >= _least[0]


def say(who: str, text: str, level: str = "warning") -> None:
    """Write one line, or drop it when stderr is full or closed. What nobody gave another level is for the operator."""
    if says(level):
        for sink in _sinks:
            sink(who, text, level)
