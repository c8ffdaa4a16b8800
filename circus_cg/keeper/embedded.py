"""Run as a script by `boot.start_keeper`: the keeper of a library's caller, who must stay as it is.

What `circus-cg run` does to itself before it becomes the keeper is done here; a room of its own, so that a daemon's
keeper never loads ctypes.
"""

import ctypes
import json
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from circus_cg.keeper.head import BOOT_FD, PIDFD
from circus_cg.keeper.main import main

PR_SET_CHILD_SUBREAPER = 36


def settle(places: list[dict[str, str]]) -> None:
    """Raises OSError when the daemon's leaf can't be joined."""
    os.closerange(PIDFD + 1, 1 << 20)  # whatever the caller, or a thread of it, held inheritable at that moment
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for place in places:
        if not os.path.isdir(place["daemon"]):
            continue  # a hierarchy that nothing uses yet
        with open(f"{place['daemon']}/cgroup.procs", "w") as procs:
            procs.write("0")


if __name__ == "__main__":
    boot = json.loads(os.pread(BOOT_FD, os.fstat(BOOT_FD).st_size, 0))
    settle(boot["places"])
    main()
