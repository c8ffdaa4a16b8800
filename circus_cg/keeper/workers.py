"""The keeper's children that are workers: a pidfd each, waited for and reaped; orphans adopted are swept up."""

import os
import select
import time
from collections.abc import Callable

from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message


class Workers:
    """`ended` is told the messages that each reaped worker gives rise to."""

    def __init__(self, epoll: select.epoll, ledger: Ledger, ended: Callable[[list[Message]], None]) -> None:
        self._epoll, self._ledger, self._ended = epoll, ledger, ended
        self._pidfds: dict[int, tuple[int, int]] = {}  # pidfd -> (pid, pidfd)

    def __len__(self) -> int:
        return len(self._pidfds)

    def __contains__(self, fd: int) -> bool:
        return fd in self._pidfds

    def watch(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as cause:
            say("keeper", f"cannot open a pidfd for {pid}: {cause}; its end is found by a sweep instead")
            return
        self._pidfds[pidfd] = (pid, pidfd)
        self._epoll.register(pidfd, select.EPOLLIN)

    def reap(self, fd: int) -> None:
        """What `fd` stands for has ended, or so it seems."""
        self._reap(*self._pidfds[fd])

    def sweep(self, other: Callable[[int], None]) -> None:
        """Reap whatever has ended, adopted orphans silently; `other` reaps a pid that is no worker's."""
        while True:
            try:
                peek = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if peek is None:
                return
            pidfd = next((entry for entry in self._pidfds.values() if entry[0] == peek.si_pid), None)
            if pidfd is not None:
                self._reap(*pidfd)
            elif self._ledger.knows(peek.si_pid):
                self._reap(peek.si_pid, None)
            else:
                other(peek.si_pid)

    def _reap(self, pid: int, pidfd: int | None) -> None:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        if pidfd is not None:
            self._epoll.unregister(pidfd)
            del self._pidfds[pidfd]
            os.close(pidfd)
        exited = result.si_code == os.CLD_EXITED
        code, signum = (result.si_status, None) if exited else (None, result.si_status)
        self._ended(self._ledger.exited(pid, code, signum, time.monotonic()))
