"""An arbiter inside a program: started, stopped, listened to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from msgspec.structs import replace

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.core.state import Phase
from circus_cg.errors import NotRunning, StartFailed
from circus_cg.library.events import Event, Listeners
from circus_cg.library.naming import unique_name
from circus_cg.library.session import Session, refuse_in_a_callback
from circus_cg.library.workers import WatcherHandle, Workers, aheld, held
from circus_cg.spec import ArbiterSpec

T = TypeVar("T")

FAILED_TO_START = (Phase.BACKOFF, Phase.FAILED)


class Embedded:
    """Life and events of an arbiter in this process. Thread-safe; not usable in a fork.

    Nothing runs before `start`. After `stop` it can be started again, as a new one. The interpreter's normal end stops
    it; however else this process dies, the keeper kills the workers at once.
    """

    def __init__(self, spec: ArbiterSpec, *, on_event: Callable[[Event], object] | None = None) -> None:
        self._spec = spec
        self._listeners = Listeners()
        self._current: Session | None = None
        # Of start and stop against each other; a signal's handler may stop what its own thread is starting.
        self._lock = threading.RLock()
        if on_event is not None:
            self._listeners.add(on_event)

    @property
    def running(self) -> bool:
        """It was started, and has not ended."""
        return self._current is not None and self._current.alive

    def start(self) -> Self:
        """Start the workers; returns when their programs run. Does nothing when they do already.

        Raises StartFailed when a program can't be run, HostError when this host can't contain it; then nothing is left.
        """
        refuse_in_a_callback()
        self._begin()
        return self

    def stop(self) -> None:
        """Signal every worker, wait `graceful_timeout`, kill; returns when nothing is left. May be called again."""
        refuse_in_a_callback()
        with self._lock:
            if self._current is not None:
                self._current.end()

    async def astart(self) -> Self:
        """As `start`. When it is cancelled, what it began is stopped first."""
        refuse_in_a_callback()
        beginning = _beside(self._begin)
        try:
            await asyncio.shield(asyncio.wrap_future(beginning))
        except asyncio.CancelledError:
            await asyncio.wrap_future(_beside(lambda: self._undo(beginning)))
            raise
        return self

    async def astop(self) -> None:
        """As `stop`. When it is cancelled, the stop goes on."""
        refuse_in_a_callback()
        await asyncio.wrap_future(_beside(self.stop))

    def on_event(self, callback: Callable[[Event], object]) -> None:
        """Call `callback` with each event from now on, in a thread of ours: it must not block or wait for workers."""
        self._listeners.add(callback)

    def events(self) -> AsyncIterator[Event]:
        """Events from this call on, for `async for`; it ends when the workers are stopped. Needs a running loop."""
        return self._listeners.stream()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await self.astart()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.astop()

    # -- details ---------------------------------------------------------------------------------

    def _session(self) -> Session:
        if self._current is None:
            raise NotRunning(f"cannot do this: {self._spec.name!r} was not started; call start() first")
        return self._current

    def _begin(self) -> bool:
        """False: the workers ran already."""
        with self._lock:
            if self.running:
                return False
            self._start()
            return True

    def _undo(self, beginning: concurrent.futures.Future[bool]) -> None:
        if beginning.exception() is None and beginning.result():
            self.stop()

    def _start(self) -> None:
        if self._current is not None:
            self._current.end()  # an interrupted end goes on here
        session = self._current = Session(replace(self._spec, name=unique_name(self._spec.name)), self._listeners)
        try:
            session.begin()
            failures = session.submit(_settled).result()
        except BaseException:  # an interrupt among them: nobody would stop what was begun
            session.end()
            raise
        if failures:
            session.end()
            raise StartFailed("\n".join(failures))


class Trainer(Embedded, Workers):
    """The workers of one command. Made by `get_trainer`; `with` starts and stops them."""

    def __init__(self, spec: ArbiterSpec, *, on_event: Callable[[Event], object] | None = None) -> None:
        Embedded.__init__(self, spec, on_event=on_event)
        Workers.__init__(self, spec.watchers[0].name, self._session)


class LocalArbiter(Embedded):
    """Several watchers together. Made by `get_arbiter`; `arbiter["web"]` is one of them."""

    def __getitem__(self, name: str) -> WatcherHandle:
        """Raises KeyError."""
        if name not in self.names:
            raise KeyError(name)
        return WatcherHandle(name, self._session)

    def __iter__(self) -> Iterator[WatcherHandle]:
        return (WatcherHandle(name, self._session) for name in self.names)

    @property
    def names(self) -> list[str]:
        """Of its watchers."""
        return [watcher.name for watcher in self._spec.watchers]

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no worker of any watcher is left. False: `timeout` seconds passed."""
        return held(self._session(), _all_down, timeout)

    async def await_down(self, timeout: float | None = None) -> bool:
        """As `wait`."""
        return await aheld(self._session(), _all_down, timeout)


def _beside(work: Callable[[], T]) -> concurrent.futures.Future[T]:
    """In a thread of its own: the loop's may all be taken by the caller's own waits for what this one is to end."""
    with_one = concurrent.futures.ThreadPoolExecutor(1, "circus-cg")
    try:
        return with_one.submit(work)
    finally:
        with_one.shutdown(wait=False)


async def _all_down(arbiter: Arbiter) -> None:
    for runner in list(arbiter.runners.values()):
        await runner.settled(runner.is_down)


async def _settled(arbiter: Arbiter) -> list[str]:
    """Once nothing is starting any more: what could not be started, a line a watcher."""
    failures = []
    for name, runner in arbiter.runners.items():
        await runner.settled(runner.is_up)
        ends = [slot.last_exit for slot in runner.slots.values() if slot.wanted and slot.phase in FAILED_TO_START]
        if detail := next((end.detail for end in ends if end is not None and end.reason == "exec"), None):
            failures.append(f"cannot start {name!r}: {detail}")
    return failures
