"""What happens to the workers, as a program hears of it: callbacks, and async iterators over bounded queues."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import msgspec

from circus_cg.core.record import Record, exit_document
from circus_cg.host import clock

log = logging.getLogger("circus_cg")

QUEUED = 10_000  # events that an iterator may leave unread; then the oldest are dropped, and the next one says so


class LastExit(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker's life ended. `reason`: exited, signal, killed (by us), oom, oom-host, exec, unknown."""

    code: int | None
    signal: int | None
    reason: str
    detail: str
    uptime: float  # seconds
    at: float  # seconds since the epoch
    peak: int | None = None  # bytes of memory, of all that was in its group


class Event(NamedTuple):
    """One thing that happened to one worker.

    `kind` is one of: `ready` (its program runs), `exit` (it ended; `detail` says how and why), `backoff` and `flapping`
    (it is started again later), `stopping` (it was asked to end), `failed` (given up), `stuck` (it doesn't die),
    `stopped`, `frozen`, `thawed`.
    """

    id: int  # increasing
    cause: int  # the id of what led to it; an id that is no event's begins a chain
    at: float  # seconds since the epoch
    watcher: str
    wid: int  # the worker's number, from 1
    kind: str
    detail: str  # for people
    generation: int = 0  # which of its lives
    pid: int | None = None
    exit: LastExit | None = None  # with `exit`: how that life ended
    missed: int = 0  # events before this one that an iterator was too slow for


class Listeners:
    """Told in the arbiter's thread; iterators are woken in the loops they belong to."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Event], object]] = []
        self._streams: list[weakref.ref[Stream]] = []  # who drops an iterator has no way to say so

    def add(self, callback: Callable[[Event], object]) -> None:
        self._callbacks.append(callback)

    def tell(self, record: Record) -> None:
        if record.wid == 0:
            return  # of a whole watcher: what the program itself has asked for
        event = _event(record)
        for callback in list(self._callbacks):
            try:
                callback(event)
            except BaseException:  # sys.exit() too: whatever a caller's code does, its workers go on
                log.exception("an event callback failed on %s", event)
        for stream in self._listening():
            stream.push(event)

    def end(self) -> None:
        """No more is to come: iterators finish once they have given what they hold."""
        for stream in self._listening():
            stream.close()

    def stream(self) -> Stream:
        """Listens from now on, not from the first `anext`, and as long as somebody holds it. Needs a running loop."""
        stream = Stream(asyncio.get_running_loop())
        self._streams.append(weakref.ref(stream, self._streams.remove))
        return stream

    def _listening(self) -> list[Stream]:
        return [stream for reference in list(self._streams) if (stream := reference()) is not None]


def _event(record: Record) -> Event:
    end = None
    if record.exit is not None:
        end = msgspec.convert(exit_document(record.exit, clock.wall_offset()), LastExit)
    return Event(
        record.id, record.cause, record.at, record.watcher, record.wid, record.kind, record.detail,
        record.generation, record.pid, end,
    )  # fmt: skip


class Stream(AsyncIterator[Event]):
    """A bounded queue from the arbiter's thread to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[Event] = deque()
        self._missed = 0
        self._closed = False
        self._waking = False  # asked for, not done yet: once is enough, however long the loop is busy elsewhere
        self._there = asyncio.Event()

    def push(self, event: Event) -> None:
        if len(self._events) >= QUEUED:
            self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    async def __anext__(self) -> Event:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._there.clear()
            if not self._events and not self._closed:
                await self._there.wait()
        missed, self._missed = self._missed, 0
        return self._events.popleft()._replace(missed=missed)

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody reads
                self._loop.call_soon_threadsafe(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self._there.set()
