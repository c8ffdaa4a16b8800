"""The audit file, opened for the arbiters: they need not be root to write what only root reads."""

import os
import stat

from circus_cg.keeper.log import say
from circus_cg.keeper.wire import lift

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
UNAUDITED = -1


def opened(path: str) -> int:
    """A descriptor above those that a child is given; to append, so that copytruncate rotates the file.

    UNAUDITED, and a line in the log, if it can't be trusted.
    """
    try:
        fd = os.open(path, FLAGS, 0o600)
    except OSError as failed:
        say("keeper", f"cannot open {path}: {failed.strerror}; commands go unaudited")
        return UNAUDITED
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        os.close(fd)
        say("keeper", f"cannot trust {path}: no regular file of this user; commands go unaudited")
        return UNAUDITED
    os.fchmod(fd, 0o600)
    high = lift(fd)
    os.close(fd)
    return high
