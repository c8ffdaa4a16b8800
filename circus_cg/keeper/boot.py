"""How a process becomes the keeper: everything it will believe goes into one sealed memfd, then exec."""

import ctypes
import fcntl
import json
import os
import sys
from typing import NoReturn

from circus_cg.keeper.messages import Message

PR_SET_CHILD_SUBREAPER = 36
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
LOWEST = 10  # of the descriptors that go through exec: 0 to 3 have a meaning at the other end
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def is_keeper(pid: int) -> bool:
    """Whether a process of that number is a keeper, by its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"/keeper/__main__.py\0" in file.read()
    except OSError:
        return False


def sealed(name: str, body: bytes) -> int:
    """A descriptor of memory that nobody can change any more; inheritable."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    view = memoryview(body)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, LOWEST)
    os.close(fd)
    return high


def become_keeper(boot: Message) -> NoReturn:
    """Replace this process. `boot`: instance, arbiter {argv, env}, pass_fds (for arbiters), keep_fds, places.

    The subreaper flag survives execve (prctl(2)), so the keeper itself never loads ctypes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    fd = sealed("circus-cg-boot", json.dumps(boot).encode())
    for kept in (*boot["pass_fds"], *boot["keep_fds"]):
        os.set_inheritable(kept, True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # Python makes none for a descriptor that was closed
            stream.flush()
    os.execve(sys.executable, [sys.executable, "-I", "-S", SCRIPT, str(fd)], dict(os.environ))
