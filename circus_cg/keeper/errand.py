"""A short process of the newly installed code that does one thing for an upgrade: seals a configuration, or rehearses.

Its channel is its descriptor 3; what it prints is kept for the case that it fails. It has a time limit.
"""

import os
import signal
import socket
from contextlib import suppress

from circus_cg.keeper.wire import lift, pair

CHANNEL_FD, FIRST_FD = 3, 4  # of what it is given
LIMIT = 30.0  # seconds
TOLD_MAX = 4000  # characters of what it printed
_PACKET, _FDS = 65536, 8


class Errand:
    """`deadline` is when `kill` is due; it is a child to wait for until `finish`."""

    def __init__(self, argv: list[str], env: dict[str, str], fds: list[int], now: float) -> None:
        """`fds`: put at FIRST_FD and the next. Raises OSError."""
        self.deadline = now + LIMIT
        self._printed = os.memfd_create("circus-cg-errand", os.MFD_CLOEXEC)
        self._socket, theirs = pair()
        lifted = []
        try:
            lifted = [lift(fd) for fd in (theirs.fileno(), self._printed, *fds)]
            channel, printed, *given = lifted
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, printed, fd) for fd in (1, 2)),
                *((os.POSIX_SPAWN_DUP2, fd, CHANNEL_FD + i) for i, fd in enumerate((channel, *given))),
            ]
            default = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
            self.pid = os.posix_spawn(argv[0], argv, env, file_actions=actions, setsid=True, setsigdef=default)
        except OSError:
            self._socket.close()
            os.close(self._printed)
            raise
        finally:
            theirs.close()
            for fd in lifted:
                os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)

    @property
    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def finish(self) -> tuple[int, bytes, list[int]]:
        """Of one that has ended: its status as by waitpid, what it sent and the descriptors with it, which are ours."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self._socket.setblocking(False)
        body, fds = b"", []
        with suppress(OSError):
            body, received, _, _ = socket.recv_fds(self._socket, _PACKET, _FDS)
            fds = [lift(fd) for fd in received]
            for fd in received:
                os.close(fd)
        self._socket.close()
        return status, body, fds

    def printed(self) -> str:
        """Its last words."""
        size = os.fstat(self._printed).st_size
        text = os.pread(self._printed, TOLD_MAX, max(0, size - TOLD_MAX)).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else "it said nothing"

    def close(self) -> None:
        os.close(self._printed)
