"""From a spawn request to a settled child: opens its files, asks the launcher, files the answers in the ledger."""

import errno
import os
import select
import signal
import time
from collections.abc import Callable
from math import inf

from circus_cg.keeper import groups
from circus_cg.keeper.hearing import Hearing
from circus_cg.keeper.launch import Failed, ForkLauncher, Gone, NativeLauncher, Running, SpawnRequest, Started
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import Key, Message
from circus_cg.keeper.request import explained
from circus_cg.keeper.stopping import end

LAUNCHER_LIMIT = 10.0  # seconds to make a process; the launcher never waits for one, so silence is a fault
SETTLE = 0.2  # seconds that lives in flight have to settle before this image ends
RELAUNCHES = 20  # of one life; a launcher that others kill is no fault of the request's

# What happened, told to the keeper: messages for the arbiter, and a new child to watch.
Settled = Callable[[list[Message], int | None], None]


class Spawning:
    def __init__(
        self, ledger: Ledger, launcher: NativeLauncher | ForkLauncher, hearing: Hearing, settled: Settled
    ) -> None:
        self._ledger, self._launcher, self._hearing, self._settled = ledger, launcher, hearing, settled
        self._asked: dict[int, Key] = {}  # ident -> life, until exec is known
        self._unstarted: dict[int, Key] = {}  # those of them whose pid we don't know yet
        self._since: dict[int, float] = {}  # ident -> when its pid is overdue, oldest first
        self._next = 0
        self._relaunched: dict[Key, int] = {}  # launcher deaths that a life in flight has survived

    def fileno(self) -> int:
        return self._launcher.fileno()

    @property
    def in_flight(self) -> bool:
        """A child whose pid we don't know may exist."""
        return bool(self._unstarted)

    @property
    def deadline(self) -> float:
        """When the launcher has been silent for too long about the oldest life it was asked for."""
        return next(iter(self._since.values()), inf)

    def on_deadline(self, now: float) -> None:
        if now < self.deadline:
            return
        for ident in self._since:
            self._since[ident] = now + LAUNCHER_LIMIT
        if self._launcher.pid is not None:
            os.kill(self._launcher.pid, signal.SIGKILL)  # stopped, or stuck: its death is answered as any other

    def begin(self, message: Message) -> None:
        key: Key = message["key"]
        fds: dict[int, int] = {}
        stage = "output"
        try:
            for target, field in ((1, "stdout"), (2, "stderr")):
                fd = _open_output(message.get(field, "inherit"))
                if fd is not None:
                    fds[target] = fd
            stage = "notify"
            fds |= self._hearing.open(message)
            self._next += 1
            self._asked[self._next] = self._unstarted[self._next] = key
            self._since[self._next] = time.monotonic() + LAUNCHER_LIMIT
            self._launcher.submit(_request(self._next, message, fds))
        except OSError as refused:
            self._drop(self._next, key)
            self._fail(key, stage, refused.errno or errno.EIO)
        except (KeyError, TypeError, ValueError) as bad:
            self._drop(self._next, key)
            self._fail(key, "request", errno.EINVAL, str(bad))
        finally:
            for fd in fds.values():
                os.close(fd)

    def on_readable(self) -> None:
        for answer in self._launcher.receive():
            match answer:
                case Started():
                    self._on_started(answer.ident, answer.pid)
                case Running():
                    self._on_running(answer.ident)
                case Failed():
                    key = self._asked.pop(answer.ident, None)
                    self._started(answer.ident)
                    if key is not None:
                        self._fail(key, answer.stage, answer.errno)
                case Gone():
                    self._on_gone(answer.unsettled)

    def halt(self) -> Message:
        """No process is made any more, since this image is about to end: the lives in flight, for the next one."""
        until = time.monotonic() + SETTLE
        while self._asked and (left := until - time.monotonic()) > 0:
            if select.select([self], [], [], left)[0]:
                self.on_readable()
        if self._launcher.pid is not None:
            end(self._launcher.pid)
        return {"asked": list(self._asked.values()), "unstarted": list(self._unstarted.values())}

    def take_over(self, halted: Message) -> None:
        """What another image's launcher, which is dead, had in flight: the same as if ours had died."""
        unstarted = {Key(*key) for key in halted["unstarted"]}
        for asked in halted["asked"]:
            self._next += 1
            self._asked[self._next] = key = Key(*asked)
            if key in unstarted:
                self._unstarted[self._next] = key
        self._settle_orphans([ident for ident in self._asked if ident not in self._unstarted])

    def close(self) -> int | None:
        """The launcher's pid, if there is one: it leaves by itself, and its group is in use until it has."""
        pid = self._launcher.pid
        self._launcher.close()
        return pid

    def _on_started(self, ident: int, pid: int) -> None:
        key = self._started(ident)
        if key is not None:
            self._ledger.started(key, pid)
            self._settled([], pid)

    def _on_running(self, ident: int) -> None:
        key = self._asked.pop(ident, None)
        if key is not None:
            self._relaunched.pop(key, None)
            self._settled(self._ledger.running(key), None)

    def _fail(self, key: Key, stage: str, number: int, text: str = "") -> None:
        error = {"stage": stage, "errno": number, "text": text or explained(stage, number)}
        self._settled(self._ledger.failed(key, error, time.monotonic()), None)

    def _ask_again(self, key: Key, request: Message) -> None:
        """A request that kills each launcher it meets must not do so for ever."""
        self._relaunched[key] = self._relaunched.get(key, 0) + 1
        if self._relaunched[key] > RELAUNCHES:
            del self._relaunched[key]
            self._fail(key, "launcher", errno.EIO, "the launcher died of this request")
        else:
            self.begin(request)

    def _drop(self, ident: int, key: Key) -> None:
        if self._asked.get(ident) == key:
            del self._asked[ident]
            self._started(ident)

    def _started(self, ident: int) -> Key | None:
        self._since.pop(ident, None)
        return self._unstarted.pop(ident, None)

    def _on_gone(self, unsettled: list[int]) -> None:
        self._launcher.restart()
        self._settle_orphans(unsettled)

    def _settle_orphans(self, unsettled: list[int]) -> None:
        """The launcher died. Each life still in flight: a child in its group is adopted, else it is asked for again."""
        for ident in unsettled:
            self._on_running(ident)  # its exec can't be told any more; its exit will be
        waiting, self._unstarted, self._asked = self._unstarted, {}, {}
        self._since.clear()
        for ident, key in waiting.items():
            request = self._ledger.request_of(key)
            if request is None:
                continue
            pid = groups.child_in(request)
            if pid is None:
                self._ask_again(key, request)
                continue
            self._asked[ident] = self._unstarted[ident] = key
            self._on_started(ident, pid)
            self._on_running(ident)


def _request(ident: int, message: Message, fds: dict[int, int]) -> SpawnRequest:
    return SpawnRequest(
        ident=ident,
        argv=message["argv"],
        env=message["env"],
        cwd=message["cwd"],
        v2=message["v2"],
        v1=message["v1"],
        umask=message.get("umask"),
        nice=message.get("nice"),
        rlimits=message.get("rlimits", ()),
        uid=message.get("uid"),
        gid=message.get("gid"),
        groups=message.get("groups"),
        oom_score_adj=message.get("oom_score_adj"),
        scheduler=message.get("scheduler"),
        io_priority=message.get("io_priority"),
        cpus=message.get("cpus"),
        bounding=message.get("bounding"),
        ambient=message.get("ambient"),
        no_new_privs=message.get("no_new_privs", False),
        own_pid=message.get("own_pid", ()),
        fds=fds,
    )


def _open_output(target: str) -> int | None:
    """`inherit` (None), `null`, or a file: appended to, made 0640, never through a symbolic link."""
    if target == "inherit":
        return None
    if target == "null":
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    fd = os.open(target, flags, 0o640)  # O_NONBLOCK: a FIFO without a reader must not stop the keeper
    os.set_blocking(fd, True)
    return fd
