"""Run as a script by `boot.start_keeper`: the keeper of a library's caller, who must stay as it is.

What `circus-cg run` does to itself before it becomes the keeper is done here; a room of its own, so that a daemon's
keeper never loads ctypes.
"""

import ctypes
import json
import os
import resource
import select
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from circus_cg.keeper import groups
from circus_cg.keeper.head import BOOT_FD, CHANNEL_FD, PIDFD
from circus_cg.keeper.main import main

PR_SET_CHILD_SUBREAPER = 36


def become() -> None:
    """Raises OSError."""
    os.closerange(PIDFD + 1, 1 << 20)  # whatever the caller, or a thread of it, held inheritable at that moment
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def told_to_begin() -> bool:
    """Once the head has made our groups. False: it died meanwhile, or could not. A fork may hold the channel open."""
    waiting = select.poll()
    for fd in (CHANNEL_FD, PIDFD):
        waiting.register(fd, select.POLLIN)
    waiting.poll()
    channel = socket.socket(fileno=CHANNEL_FD)
    try:
        return channel.recv(1, socket.MSG_DONTWAIT) != b""
    except OSError:
        return False
    finally:
        channel.detach()


def join(places: list[dict[str, str]]) -> None:
    """Raises OSError when the daemon's leaf can't be joined."""
    for place in places:
        if not os.path.isdir(place["daemon"]):
            continue  # a hierarchy that nothing uses yet
        with open(f"{place['daemon']}/cgroup.procs", "w") as procs:
            procs.write("0")


if __name__ == "__main__":
    boot = json.loads(os.pread(BOOT_FD, os.fstat(BOOT_FD).st_size, 0))
    become()
    if not told_to_begin():
        groups.leave(boot["places"])
        sys.exit(1)
    join(boot["places"])
    main()
