"""Commands that are run beside a worker: lives of their own, under a reserved slot of the keeper's.

An operator's (`exec`) have groups inside the worker's, those of health checks groups beside all workers'.
docs/decisions/0011-a-command-in-a-workers-group.md says why, and why the pipes go by name.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.session import Session, life_of
from circus_cg.errors import CgroupError, CircusCgError, CommandRefused
from circus_cg.keeper.messages import Key, Message
from circus_cg.spec import Limits

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner
    from circus_cg.core.slot import Slot

WATCHER = "@exec"  # no valid watcher name
BESIDE = "@health"  # nor this
MOST = 16  # of an operator's at the same time
MOST_CHECKS = 8  # at the same time; the others wait for their turn
KEPT = 256 << 10  # bytes of each stream; the rest is read and dropped, so that the command never waits for us
CHUNK = 65536
KILLED_WITHIN = 10.0  # seconds
LOOK_AGAIN = 0.02  # seconds; leftovers die at once, or are the worker's own to end with


class Ended(NamedTuple):
    code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    dropped: int  # bytes of both beyond what is kept
    timed_out: bool


class Execs:
    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._next = 1
        self._waiting: dict[int, asyncio.Future[Message]] = {}  # number -> its end
        self._unlink: dict[int, Callable[[], None]] = {}
        self._orphans: dict[int, str] = {}  # number -> note: killed, and their end not heard yet
        self._beside: WatcherGroup | None = None
        self._checks = asyncio.Semaphore(MOST_CHECKS)
        self._commands = 0  # an operator's
        self._sessions: dict[int, Session] = {}  # where there are no groups

    @property
    def running(self) -> int:
        return len(self._waiting)

    def adopt(self, held: Message) -> None:
        """One that a dead arbiter began: nobody waits for it any more."""
        number = held["slot"][1]
        self._next = max(self._next, number + 1)
        if held["state"] in ("launching", "running"):
            self._end(number, held["note"])
        else:
            self._bury(number)

    def on_news(self, message: Message) -> None:
        number = message["key"][1]
        waiting = self._waiting.get(number)
        if (unlink := self._unlink.pop(number, None)) is not None:
            unlink()  # the keeper has opened them, or never will
        match message["op"]:
            case "spawned":
                if number in self._sessions:
                    self._sessions[number].leader = message["pid"]
                if waiting is None and (note := self._orphans.get(number)):
                    self._end(number, note)
            case _:
                self._bury(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)

    async def run(self, runner: WatcherRunner, slot: Slot, argv: list[str], timeout: float) -> Ended:
        """In the worker's group. Raises CommandRefused when it can't be begun; CgroupError, OSError."""
        if self._commands >= MOST:
            raise CommandRefused(f"cannot run a command: {MOST} run already; wait for one to end")
        number = self._number()
        group = runner.group_of(slot.wid, slot.generation).inner(f"exec.{number}")
        note = (runner.spec.name, slot.wid, slot.generation)
        self._commands += 1
        try:
            return await self._run(number, runner.request_for(slot.wid, argv, group), group, note, timeout)
        finally:
            self._commands -= 1

    async def check(self, runner: WatcherRunner, wid: int, argv: list[str], timeout: float) -> Ended:
        """As that worker would run it, in a group that is none of its own: its limits and its end are not shared.

        Raises as `run`. `timeout` begins when its turn has come.
        """
        async with self._checks:
            number = self._number()
            group = life_of(self._place(), number, 1)
            return await self._run(number, runner.request_for(wid, argv, group), group, (BESIDE, number, 1), timeout)

    async def _run(
        self, number: int, request: dict[str, Any], group: WorkerGroup, note: tuple[str, int, int], timeout: float
    ) -> Ended:
        arbiter = self._arbiter
        if arbiter.boot.runtime is None:
            raise CommandRefused("cannot run a command beside a library's workers; start it in your program")
        ended: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        pipes = _Pipes(Path(arbiter.boot.runtime) / "exec", number)
        self._waiting[number], self._unlink[number] = ended, pipes.unlink
        try:
            if isinstance(group, Session):
                self._sessions[number] = group
            group.create_bare()
            request = {**request, "stdout": pipes.paths[0], "stderr": pipes.paths[1]}
            arbiter.keeper.spawn(Key(WATCHER, number, 1), request, msgspec.json.encode(note).decode())
            message, timed_out = await _awaited(ended, timeout, group)
            await _emptied(group)
        finally:
            self._waiting.pop(number, None)
            self._unlink.pop(number, None)
            self._sessions.pop(number, None)
            pipes.close()
            group.remove()
        if message["op"] == "refused":
            raise CommandRefused("cannot run the command: the keeper refused it; try again")
        if (error := message["error"]) is not None:
            raise CommandRefused(f"cannot run {request['argv'][0]!r}: {error['stage']}: {error['text']}")
        out, err = pipes.kept
        return Ended(message["code"], message["signal"], out, err, pipes.dropped, timed_out)

    def _number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _place(self) -> WatcherGroup:
        """Where the groups of checks are made. What a dead arbiter left there goes. Raises CgroupError."""
        if self._beside is None:
            beside = WatcherGroup(self._arbiter.tree, BESIDE, Limits(), Limits())
            beside.ensure()
            for number, generation in beside.lives():
                beside.worker(number, generation).kill()
                beside.worker(number, generation).remove()
            self._beside = beside
        return self._beside

    def _bury(self, number: int) -> None:
        self._arbiter.keeper.ack(Key(WATCHER, number, 1), "")
        self._arbiter.keeper.forget((WATCHER, number))
        self._orphans.pop(number, None)

    def _end(self, number: int, note: str) -> None:
        self._orphans[number] = note
        with suppress(msgspec.DecodeError, CircusCgError, OSError):
            watcher, wid, generation = msgspec.json.decode(note, type=tuple[str, int, int])
            runner = self._arbiter.runners.get(watcher)
            of = runner.group if runner else WatcherGroup(self._arbiter.tree, watcher, Limits(), Limits())
            life = of.worker(wid, generation)
            (life if watcher == BESIDE else life.inner(f"exec.{number}")).kill()


class _Pipes:
    """Two FIFOs that the keeper opens by name: it passes no descriptor that the arbiter gave it.

    Whoever could open them is root. They are read as they come, and bounded.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        directory.mkdir(mode=0o700, exist_ok=True)
        self.paths = [str(directory / f"{number}.{name}") for name in ("out", "err")]
        self.kept = [b"", b""]
        self.dropped = 0
        self._fds: list[int] = []
        for which, path in enumerate(self.paths):
            with suppress(FileNotFoundError):
                os.unlink(path)  # of an arbiter that was killed
            os.mkfifo(path, 0o600)
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._fds.append(fd)
            self._loop.add_reader(fd, self._on_readable, which)

    def unlink(self) -> None:
        for path in self.paths:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def close(self) -> None:
        """Whatever is in them still is read first."""
        for which, fd in enumerate(self._fds):
            while self._on_readable(which):
                pass
            self._loop.remove_reader(fd)
            os.close(fd)
        self.unlink()

    def _on_readable(self, which: int) -> bool:
        """False: there is no more now."""
        fd = self._fds[which]
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._loop.remove_reader(fd)  # every writer is gone: it would be readable for ever
            return False
        kept = self.kept[which]
        self.kept[which] = kept + chunk[: KEPT - len(kept)]
        self.dropped += max(0, len(chunk) - (KEPT - len(kept)))
        return True


async def _awaited(ended: asyncio.Future[Message], timeout: float, group: WorkerGroup) -> tuple[Message, bool]:
    """Its end, and whether that was for want of time. Killed with all it forked, as a worker is."""
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(ended), False
    except TimeoutError:
        group.kill()
    try:
        async with asyncio.timeout(KILLED_WITHIN):
            return await asyncio.shield(ended), True
    except TimeoutError:
        raise CommandRefused("cannot end the command: it is still in the kernel after SIGKILL") from None


async def _emptied(group: WorkerGroup) -> None:
    """What it left behind goes with it."""
    for _ in range(int(KILLED_WITHIN / LOOK_AGAIN)):
        if not group.populated():
            return
        with suppress(CgroupError):
            group.kill()
        await asyncio.sleep(LOOK_AGAIN)
