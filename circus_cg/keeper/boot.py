"""How a process becomes the keeper: everything it will believe goes into one sealed memfd, then exec."""

import ctypes
import fcntl
import json
import os
import re
import signal
import sys
from typing import NoReturn

from circus_cg.keeper.head import BOOT_FD, CHANNEL_FD, PIDFD
from circus_cg.keeper.link import PASSED_FD
from circus_cg.keeper.messages import Message
from circus_cg.keeper.succession import HELD_BACK, held_fds
from circus_cg.keeper.wire import lift

PR_SET_CHILD_SUBREAPER = 36
EMBEDDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embedded.py")
# What an interpreter is told, with an image's path as its first word.
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from {} import main; main()"
KEEPER, ARBITER = "circus_cg.keeper.main", "circus_cg.arbiter.main"
IMAGE_FD = PASSED_FD + 1  # of every arbiter
KEEPERS = re.compile(rb"circus_cg\.keeper\.main|/keeper/(__main__|embedded)\.py\0")  # the second: of older versions too
UNCHANGEABLE = {signal.SIGKILL, signal.SIGSTOP}
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def is_keeper(pid: int) -> bool:
    """Whether a process of that number is a keeper, by its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return KEEPERS.search(file.read()) is not None
    except OSError:
        return False


def sealed(name: str, body: bytes) -> int:
    """A descriptor of memory that nobody can change any more; inheritable."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        return lift(fd, command=fcntl.F_DUPFD)
    finally:
        os.close(fd)


def start_keeper(boot: Message, channel: int) -> int:
    """A keeper as a child of this process, which stays its head: the pid. `boot` as for become_keeper, arbiter None.

    `channel`: the keeper's end, closed by the caller. Safe in a process with threads: nothing is forked.
    """
    opened: list[int] = []
    try:
        opened.append(sealed("circus-cg-boot", json.dumps({**boot, "arbiter": None}).encode()))
        own = os.pidfd_open(os.getpid())  # the keeper hears our end even if a fork of ours keeps the channel open
        opened.append(own)
        for one in (channel, own):
            opened.append(lift(one))
        actions = [
            (os.POSIX_SPAWN_DUP2, opened[0], BOOT_FD),
            (os.POSIX_SPAWN_DUP2, opened[2], CHANNEL_FD),
            (os.POSIX_SPAWN_DUP2, opened[3], PIDFD),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        ]
        argv = [sys.executable, "-I", "-S", EMBEDDED, str(BOOT_FD)]
        return os.posix_spawn(
            argv[0],
            argv,
            os.environ,
            file_actions=actions,
            setsid=True,
            setsigmask=HELD_BACK,
            setsigdef=signal.valid_signals() - UNCHANGEABLE,
        )
    finally:
        for one in opened:
            os.close(one)


def arbiter_command(python: str) -> list[str]:
    """Of every arbiter of a daemon, who finds its boot record and its code where the keeper puts `pass_fds`."""
    return [*sealed_command(python, ARBITER), str(PASSED_FD)]


def sealed_command(python: str, module: str) -> list[str]:
    """A module of an arbiter's own code, for the arbiter and for what it starts with that descriptor."""
    return [python, "-P", "-c", START.format(module), f"/proc/self/fd/{IMAGE_FD}"]


def become_keeper(boot: Message) -> NoReturn:
    """Replace this process. `boot`:

    instance    a name that no other daemon ever has
    arbiter     {argv, env}
    pass_fds    for arbiters: their boot record and the image, at PASSED_FD and the next
    image       image.Image as a dictionary: the code of keeper and arbiters
    audit       path of the file that arbiters write their audit to; a record of an earlier version has none
    keep_fds    what else is to stay open
    places      see groups.leave
    control     {fd, path} of the listening socket for root
    pidfile     the file to be removed at the end, if it still has our pid; may be missing
    loglevel, logoutput   see log.log_as; may be missing
    source      what `cli.seal` needs to do all this again: {python, config, name, cgroup_root, nofile, cwd}

    The subreaper flag survives execve (prctl(2)), so the keeper itself never loads ctypes.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    fd = sealed("circus-cg-boot", json.dumps(boot).encode())
    for kept in held_fds(boot):
        os.set_inheritable(kept, True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # Python makes none for a descriptor that was closed
            stream.flush()
    python, image = boot["image"]["python"], boot["image"]["fd"]
    argv = [python, "-I", "-S", "-c", START.format(KEEPER), f"/proc/self/fd/{image}", str(fd)]
    os.execve(python, argv, dict(os.environ))
