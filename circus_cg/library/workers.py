"""What a program does with the workers of one watcher. Each verb has a twin beginning with `a` for asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.errors import NotRunning
from circus_cg.library.session import Session, Work

T = TypeVar("T")


class LastExit(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker's last life ended. `reason`: exited, signal, killed (by us), oom, oom-host, exec, unknown."""

    code: int | None
    signal: int | None
    reason: str
    detail: str
    uptime: float  # seconds
    at: float  # seconds since the epoch


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as it is now; what doesn't apply or isn't known is None."""

    watcher: str
    wid: int  # its number, from 1; a replacement has the same
    generation: int  # how many lives it has had
    pid: int | None
    phase: str  # idle, starting, ready, backoff, stopping, failed
    cgroup: str | None  # path below the hierarchy's mount
    started: float | None  # seconds since the epoch
    restarts: int  # lives begun without being asked for
    last_exit: LastExit | None
    memory_current: int | None  # bytes, of all that is in its group
    memory_peak: int | None
    cpu_seconds: float | None


class Workers:
    """The workers of one watcher. Its methods raise CircusCgError: NotRunning before `start` and after
    `stop`, Lost when the keeper was killed."""

    def __init__(self, name: str, session: Callable[[], Session]) -> None:
        self._name, self._session = name, session

    @property
    def name(self) -> str:
        """The watcher's: its part of the cgroups' paths."""
        return self._name

    # -- how many --------------------------------------------------------------------------------

    def incr(self, nb: int = 1) -> int:
        """Add `nb` workers; returns how many are wanted now, once they run."""
        return int(self._ask("incr", nb=nb, waiting=True).result()["numprocesses"])

    async def aincr(self, nb: int = 1) -> int:
        return int((await _awaited(self._ask("incr", nb=nb, waiting=True)))["numprocesses"])

    def decr(self, nb: int = 1) -> int:
        """Take `nb` workers away, those least missed; returns how many are wanted now, once they are gone."""
        return int(self._ask("decr", nb=nb, waiting=True).result()["numprocesses"])

    async def adecr(self, nb: int = 1) -> int:
        return int((await _awaited(self._ask("decr", nb=nb, waiting=True)))["numprocesses"])

    # -- their lives -----------------------------------------------------------------------------

    def restart(self) -> None:
        """Stop each worker and start it again; returns when the new ones run."""
        self._ask("restart", waiting=True).result()

    async def arestart(self) -> None:
        await _awaited(self._ask("restart", waiting=True))

    def signal(self, signum: int | str, wid: int | None = None) -> list[int]:
        """Send `signum` (a number, or a name such as "HUP") to each worker, or to `wid`; returns their pids."""
        return list(self._ask("signal", signum=signum, wid=wid).result()["signalled"])

    async def asignal(self, signum: int | str, wid: int | None = None) -> list[int]:
        return list((await _awaited(self._ask("signal", signum=signum, wid=wid)))["signalled"])

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no worker is left and none is to come: stopped, or given up. False: `timeout` seconds passed."""
        return held(self._session(), self._until_down, timeout)

    async def await_down(self, timeout: float | None = None) -> bool:
        """As `wait`."""
        return await aheld(self._session(), self._until_down, timeout)

    # -- what they are ---------------------------------------------------------------------------

    def stats(self) -> list[Worker]:
        """One row a worker, read from its group now."""
        return _rows(self._ask("ps").result())

    async def astats(self) -> list[Worker]:
        return _rows(await _awaited(self._ask("ps")))

    @property
    def status(self) -> str:
        """starting, active, stopping or stopped."""
        return str(self._ask("status").result()["status"])

    @property
    def pids(self) -> list[int]:
        """Of the workers that run, by number."""
        return [worker.pid for worker in self.stats() if worker.pid is not None]

    @property
    def numprocesses(self) -> int:
        """How many workers are wanted."""
        return int(self._ask("numprocesses").result()["numprocesses"])

    # -- details ---------------------------------------------------------------------------------

    def _ask(self, command: str, **properties: Any) -> concurrent.futures.Future[dict[str, Any]]:
        return self._session().command(command, name=self._name, **properties)

    async def _until_down(self, arbiter: Arbiter) -> None:
        runner = arbiter.runners.get(self._name)
        if runner is not None:
            await runner.settled(runner.is_down)


class WatcherHandle(Workers):
    """One of an arbiter's watchers, which can be stopped and started while the others run."""

    def start(self) -> None:
        """Returns when its workers run; those that can't be started are tried again later."""
        self._ask("start", waiting=True).result()

    async def astart(self) -> None:
        await _awaited(self._ask("start", waiting=True))

    def stop(self) -> None:
        """Signal, `graceful_timeout`, kill; returns when nothing of it is left."""
        self._ask("stop", waiting=True).result()

    async def astop(self) -> None:
        await _awaited(self._ask("stop", waiting=True))


def held(session: Session, work: Work[None], timeout: float | None) -> bool:
    """Whether it was done in time; it is given up if not. Of workers that were stopped none is left."""
    with suppress(NotRunning):
        waiting = session.submit(work)
        try:
            waiting.result(timeout)
        except TimeoutError:
            waiting.cancel()
            return False
    return True


async def aheld(session: Session, work: Work[None], timeout: float | None) -> bool:
    """As `held`."""
    with suppress(NotRunning):
        try:
            async with asyncio.timeout(timeout):
                await _awaited(session.submit(work))
        except TimeoutError:
            return False
    return True


def _rows(reply: dict[str, Any]) -> list[Worker]:
    return [msgspec.convert(row, Worker) for row in reply["workers"]]


async def _awaited(asked: concurrent.futures.Future[T]) -> T:
    return await asyncio.wrap_future(asked)
