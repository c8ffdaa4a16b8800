"""What happens to the workers, as a program hears of it: callbacks, and async iterators over bounded queues."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from circus_cg.arbiter.journal import Record

log = logging.getLogger("circus_cg")

QUEUED = 10_000  # events that an iterator may leave unread; then the oldest are dropped, and the next one says so


class Event(NamedTuple):
    """One thing that happened to one worker.

    `kind` is one of: `ready` (its program runs), `exit` (it ended; `detail` says how and why), `backoff` and `flapping`
    (it is started again later), `failed` (given up), `stuck` (it doesn't die), `stopped`.
    """

    id: int  # increasing
    cause: int  # the id of what led to it; an id that is no event's begins a chain
    at: float  # seconds since the epoch
    watcher: str
    wid: int  # the worker's number, from 1
    kind: str
    detail: str  # for people
    missed: int = 0  # events before this one that an iterator was too slow for


class Listeners:
    """Told in the arbiter's thread; iterators are woken in the loops they belong to."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Event], object]] = []
        self._streams: list[weakref.ref[Stream]] = []  # who drops an iterator has no way to say so

    def add(self, callback: Callable[[Event], object]) -> None:
        self._callbacks.append(callback)

    def tell(self, record: Record) -> None:
        event = Event(*record)
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
