"""What happened, kept on disk: events as they come, usage now and then. The arbiter's loop hands over and goes on.

One thread owns the file; nothing here waits for a disk. What is handed over is on disk within SOON and the disk's own
time; the arbiter's death costs that much.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from circus_cg.arbiter.usage import UsageOverTime
from circus_cg.core.record import Record, document
from circus_cg.core.wanted import Wanted
from circus_cg.errors import HostError
from circus_cg.host import clock
from circus_cg.keeper.log import say

if TYPE_CHECKING:  # the arbiter is built on this; SQLite is imported by the thread, beside what must be quick
    from circus_cg.arbiter import store
    from circus_cg.arbiter.arbiter import Arbiter

SOON = 0.25  # seconds that an event waits for others to go with
AT_ONCE = 1000  # events in one transaction
MOST_WAITING = 20_000  # beyond it the disk doesn't keep up, and the next events are lost
JOBS_WAITING = 100  # beyond it usage is left out
PRUNE_EVERY = 300.0  # seconds
PRUNE_AFTER = 5000  # events
LAST_WORDS = 2.0  # seconds that an ending arbiter waits for the disk
READERS = 1  # at once; who asks meanwhile waits
PATIENCE = 5.0  # seconds that a reader waits for what is still to be written
FILE = "history.sqlite"

T = TypeVar("T")
Job = Callable[["_Keeping"], None]


class History:
    def __init__(self, arbiter: Arbiter, path: Path, after: int = 0) -> None:
        """`after`: the last event that is there already, of this arbiter's."""
        self._arbiter, self._path = arbiter, path
        self._pending: list[Record] = []
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # A counter has one writer: the loop's are these, the thread's its own.
        self._handed = self._dropped = 0
        self._keeping = _Keeping(path, after)
        self._loop = asyncio.get_running_loop()
        self._soon: asyncio.TimerHandle | None = None
        self._usage = UsageOverTime(arbiter, self._on_usage)
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        # Each thread that has read much keeps the memory that it took.
        self._readers = concurrent.futures.ThreadPoolExecutor(READERS, "history-reader")

    @property
    def waiting(self) -> int:
        """Events that are not on disk yet."""
        return len(self._pending) + self._handed - self._keeping.done

    @property
    def lost(self) -> int:
        """Events that never came to the disk."""
        return self._dropped + self._keeping.failed

    @property
    def last(self) -> int:
        """The `seq` of the last event that is on disk."""
        return self._keeping.last

    def begin(self) -> None:
        """What the ring holds already, and is not there, is the first to be kept."""
        ring = self._arbiter.journal.ring
        first = max(ring.oldest, self.last + 1)
        for _, record in ring.read(first, ring.next - first):
            self._on_record(record)
        self._arbiter.journal.listeners.append(self._on_record)
        self._thread.start()
        self._prune()
        self._usage.begin()

    def close(self) -> None:
        """What was handed over is written, if the disk can."""
        with suppress(ValueError):
            self._arbiter.journal.listeners.remove(self._on_record)
        self._usage.close()
        for timer in (self._soon, self._next_prune):
            if timer is not None:
                timer.cancel()
        self._hand_over()
        self._jobs.put(None)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._thread.join(LAST_WORDS)

    async def events(self, wanted: Wanted) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._read("read_events", wanted)
        return found

    async def usage(self, wanted: Wanted) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._read("read_usage", wanted)
        return found

    async def watchers(self) -> list[str]:
        found: list[str] = await self._read("watchers")
        return found

    # -- in the loop -----------------------------------------------------------------------------

    def _on_record(self, record: Record) -> None:
        self._pending.append(record)
        if len(self._pending) >= AT_ONCE:
            self._hand_over()
        elif self._soon is None:
            self._soon = self._loop.call_later(SOON, self._hand_over)

    def _hand_over(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if not self._pending:
            return
        records, self._pending = self._pending, []
        offset, dropped = clock.wall_offset(), self._dropped
        if self._handed - self._keeping.done + len(records) > MOST_WAITING:
            self._dropped += len(records)
            return
        self._handed += len(records)
        self._jobs.put(lambda keeping: keeping.write([document(one, offset) for one in records], dropped))

    def _on_usage(self, found: list[dict[str, Any]]) -> None:
        if self._jobs.qsize() < JOBS_WAITING:  # a disk that hangs: what is used later is told later
            self._jobs.put(lambda keeping: keeping.write_usage(found))

    def _prune(self) -> None:
        """The bounds as they are configured now."""
        bounds = self._arbiter.boot.spec.history
        self._jobs.put(lambda keeping: keeping.bound(bounds.age, bounds.size))
        self._next_prune = self._loop.call_later(PRUNE_EVERY, self._prune)

    async def _read(self, what: str, *how: Any) -> Any:
        """Beside the thread, once it has written what has happened before. Raises HostError."""
        written: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._hand_over()
        self._jobs.put(lambda keeping: _settle(written))
        with suppress(TimeoutError):  # a disk that hangs: what is there can be told
            await asyncio.wait_for(asyncio.wrap_future(written), PATIENCE)
        return await self._loop.run_in_executor(self._readers, _told, self._path, what, how)

    # -- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job(self._keeping)
        self._keeping.close()


class _Keeping:
    """The thread's side. `done` and `failed` count events; `last` is the `seq` of the last one that is on disk."""

    def __init__(self, path: Path, last: int) -> None:
        self._path, self.last = path, last
        self._store: store.Store | None = None
        self._broken = False  # said, until it works again
        self._since_prune = 0
        self._bounds = (0.0, 0)
        self._said = 0  # lost events that the file tells of
        self.done = self.failed = 0

    def write(self, events: list[dict[str, Any]], dropped: int) -> None:
        """`dropped`: so many before these never came here."""
        lost = dropped + self.failed
        gap = [_gap(lost - self._said, events[0])] if lost > self._said else []
        if self._try(lambda kept: kept.write([*gap, *events])):
            self._said, self.last = lost, events[-1]["seq"]
            self._since_prune += len(events)
        else:
            self.failed += len(events)
        self.done += len(events)
        if self._since_prune >= PRUNE_AFTER:
            self.bound(*self._bounds)

    def write_usage(self, found: list[dict[str, Any]]) -> None:
        kind = importlib.import_module("circus_cg.arbiter.store").Usage
        self._try(lambda kept: kept.write((), [kind(**one) for one in found]))

    def bound(self, age: float, size: int) -> None:
        self._bounds, self._since_prune = (age, size), 0
        self._try(lambda kept: kept.prune(clock.wall(), age, size))

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _try(self, work: Callable[[store.Store], None]) -> bool:
        """Whatever the disk does, supervision goes on: it is said once, and tried again with what comes next."""
        rooms = importlib.import_module("circus_cg.arbiter.store")
        sqlite3 = importlib.import_module("sqlite3")
        try:
            if self._store is None:
                self._store = rooms.Store(self._path)
                self._tell_of_the_old()
            try:
                work(self._store)
            except sqlite3.Error as failed:
                if not rooms.is_broken(failed):
                    raise
                self._store.put_away(str(failed), int(clock.wall()))
                self._tell_of_the_old()
                work(self._store)
        except (OSError, sqlite3.Error) as failed:
            if not self._broken:
                say("arbiter", f"cannot keep the history in {self._path}: {failed}; events go on unkept until it can")
            self._broken = True
            return False
        if self._broken:
            say("arbiter", f"the history is kept again in {self._path}; {self.failed} events are not in it", "info")
        self._broken = False
        return True

    def _tell_of_the_old(self) -> None:
        assert self._store is not None
        if self._store.put_aside:
            say("arbiter", f"cannot use the history of before: {self._store.put_aside}; a new one begins")
            self._store.put_aside = ""


def _gap(count: int, before: dict[str, Any]) -> dict[str, Any]:
    """What tells a reader that events are missing here; of no watcher."""
    text = f"{count} events before were not kept: the disk refused them, or was too slow"
    return {**before, "watcher": "", "wid": None, "kind": "lost", "detail": text, "exit": None, "pid": None}


def _settle(written: concurrent.futures.Future[None]) -> None:
    with suppress(concurrent.futures.InvalidStateError):  # nobody waits any more
        written.set_result(None)


def _told(path: Path, what: str, how: tuple[Any, ...]) -> Any:
    rooms, sqlite3 = importlib.import_module("circus_cg.arbiter.store"), importlib.import_module("sqlite3")
    try:
        return getattr(rooms, what)(path, *how)
    except sqlite3.Error as failed:
        raise HostError(f"cannot read the history in {path}: {failed}; the daemon's log says more") from failed
