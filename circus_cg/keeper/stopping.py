"""The last-resort stop: what the keeper does itself when it must end and no arbiter can: signal, wait, group kill."""

import os
import select
import signal
from contextlib import suppress
from math import inf

from circus_cg.keeper import groups
from circus_cg.keeper.ledger import Held, Ledger, State
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message

LOOK_EVERY = 0.2  # seconds; a group's end has no descriptor of ours to wait on, and this phase is short
LEAVING = 5.0  # seconds that arbiter and launcher have to leave at the end
KILL_LIMIT = 10.0  # seconds of group kills before what is stuck in the kernel, or is not ours to kill, is left behind


class LastResort:
    """`deadline` is when `on_deadline` wants to be called; `done` when nothing is left (or nothing can be done)."""

    def __init__(self, ledger: Ledger, status: int, now: float) -> None:
        self._ledger = ledger
        self.status = status
        self.done = False
        self.deadline = now
        self._patience = now
        for held in ledger.occupied():
            signum, timeout = held.request["stop"]
            self._patience = max(self._patience, now + timeout)
            pid = ledger.pid_of(held.key)  # None once it was reaped
            if pid is not None:
                groups.thaw(held.request)
                with suppress(*groups.UNKILLABLE):
                    os.kill(pid, signum)

    def reset(self) -> None:
        """Something ended: look again at once."""
        self.deadline = 0.0

    def hurry(self) -> None:
        self._patience = self.deadline = 0.0

    def on_deadline(self, now: float) -> None:
        if now < self.deadline:
            return
        left = [held for held in self._held() if self._alive(held)]
        if not left:
            self.done, self.deadline = True, inf
            for held in self._held():
                groups.remove(held.request)
            return
        self.deadline = now + LOOK_EVERY
        if self._patience == 0.0:
            self._patience = now
        for held in left:
            # Once the worker itself is gone, nobody is left to ask its leftovers to leave.
            if now >= self._patience or held.state not in (State.LAUNCHING, State.RUNNING):
                groups.kill(held.request)
                self._kill_ungrouped(held)
        if now >= self._patience + KILL_LIMIT:
            names = ", ".join(f"{held.slot[0]}.{held.slot[1]}" for held in left)
            say("keeper", f"cannot end {names}: still there after SIGKILL")
            self.done, self.deadline = True, inf

    def _kill_ungrouped(self, held: Held) -> None:
        """Where it is in no group: itself, and its process group, which is its own as long as it is not reaped."""
        pid = self._ledger.pid_of(held.key)
        if pid is not None and not groups.has_any(held.request):
            for kill in (os.kill, os.killpg):
                with suppress(*groups.UNKILLABLE):
                    kill(pid, signal.SIGKILL)

    def _held(self) -> list[Held]:
        return [held for held in self._ledger.all() if held.request]

    def _alive(self, held: Held) -> bool:
        return held.state in (State.LAUNCHING, State.RUNNING) or groups.populated(held.request)


def unlink_files(boot: Message, pid: int) -> None:
    """What stands for this daemon on disk; a pidfile only while it names us."""
    with suppress(OSError, KeyError):
        os.unlink(boot["control"]["path"])
    with suppress(OSError, KeyError):
        with open(boot["pidfile"], "rb") as file:
            ours = file.read(32).strip() == str(pid).encode()
        if ours:
            os.unlink(boot["pidfile"])


def wait_or_kill(pid: int) -> None:
    """Of a child of ours that was told to leave."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # reaped already
    if not select.select([pidfd], [], [], LEAVING)[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(pidfd)
    os.waitpid(pid, 0)


def end(pid: int) -> None:
    """A child of ours, at once."""
    with suppress(ProcessLookupError, ChildProcessError):  # reaped already
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
