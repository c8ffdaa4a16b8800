"""The daemon's set of watchers: wires keeper, cgroups, runners and control channel; owns no policy of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from circus_cg.arbiter import because, execs, lasting, roster
from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.arbiter.execs import Execs
from circus_cg.arbiter.feed import Feed
from circus_cg.arbiter.governor import Governors
from circus_cg.arbiter.health import Health
from circus_cg.arbiter.intent import Intents
from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.lasting import Lasting
from circus_cg.arbiter.ordering import Ordering
from circus_cg.arbiter.pace import Pace
from circus_cg.arbiter.probes import Probes
from circus_cg.arbiter.relief import Relief
from circus_cg.arbiter.runner import Shared, WatcherRunner
from circus_cg.arbiter.sampler import Sampler
from circus_cg.arbiter.samples import Samples
from circus_cg.arbiter.udp_watchdog import UdpWatchdogs
from circus_cg.cgroup.tree import Tree
from circus_cg.cgroup.watch import EventHub
from circus_cg.core.slot import Held, Slot, from_note, rebuild
from circus_cg.host import clock
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message
from circus_cg.keeper.wire import Closed

if TYPE_CHECKING:  # it begins after the first spawns
    from circus_cg.arbiter.history import History

T = TypeVar("T")
STOPPING = "stopping"  # the arbiter's own note, once the daemon is to end


class Arbiter:
    def __init__(self, boot: ArbiterBoot, keeper: KeeperClient, hello: Message, journal: Journal) -> None:
        self.boot = boot
        self.journal = journal
        self.hub = EventHub()
        self.tree = Tree(boot.layout, boot.spec.name)
        state = None if boot.state is None else Path(boot.state)
        self.lasting = Lasting(state and state / lasting.FILE)
        self.intents = Intents(state and state / "intent.json", hello["instance"], self.lasting.over)
        self.runners: dict[str, WatcherRunner] = {}
        self.leaving: dict[str, asyncio.Task[None]] = {}  # watchers on their way out
        self.samples = Samples()
        self.pace = Pace(clock.now)
        self.instance = str(hello["instance"])
        self.keeper = keeper
        self.sampler = Sampler(self)
        self.feed = Feed(self)
        self.execs = Execs(self)
        self.history: History | None = None  # where it is kept on disk
        self.looking_back = asyncio.Lock()  # what is read of it beside the loop, one answer at a time
        self.on_reread: list[Callable[[], None]] = []  # called when there is another configuration
        self.governors = Governors(self)
        self.relief = Relief(self)
        self.udp_watchdogs = UdpWatchdogs(self)
        self.reconfiguring = asyncio.Lock()
        self.ordering = Ordering(self)
        checking = partial(Health, Probes(self.execs), self.journal, self.spawn_task)
        self.shared = Shared(
            boot,
            keeper,
            self.hub,
            self.journal,
            self.ordering.admit,
            self.ordering.changed,
            checking,
            self.relief.hold,
        )
        self.started_at = clock.wall()
        self.stopping = bool(hello["stopping"]) or hello["note"].startswith(STOPPING)
        self.exit_status = _status(hello["note"])
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the keeper is
        self._counts: list[asyncio.Future[Message]] = []
        self._writing = False
        self._hello = hello
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """Rebuild the slots from notes and inventory, then ask for what is missing."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.hub.fileno(), self.hub.dispatch)
        self.keeper.on_backlog(self._watch_writability)
        held = {slot["slot"][0] for slot in self._hello["slots"]}
        roster.extend_the_tree(self)
        for spec in self.intents.specs(self.boot.spec.watchers):
            if (runner := roster.rebuilt(self, spec, held=spec.name in held)) is not None:
                self.runners[spec.name] = runner
        roster.recall(self, held)
        exits = [news for slot in self._hello["slots"] if (news := self._adopt(slot)) is not None]
        for message in exits + self._hello["news"]:
            self._on_message(message)
        for runner in self.runners.values():
            runner.sweep()
        if not self.stopping:
            for runner in self.ordering.sequence(self.runners.values()):
                roster.take_up(self, runner)
        self.relief.adjust()
        loop.add_reader(self.keeper.fileno(), self._on_readable)
        if self.stopping:
            self.terminate(self.exit_status)
        self.udp_watchdogs.adjust()
        self.keeper.ready(self.summary)

    @property
    def summary(self) -> str:
        return f"{len(self.runners)} watchers"

    def sees(self, watcher: str) -> bool:
        """Whether who asks may hear of that watcher, known or not: whoever asks the arbiter itself hears of all."""
        return True

    @property
    def sees_all(self) -> bool:
        """As `sees`, of every watcher there was or will be."""
        return True

    def terminate(self, status: int = 0) -> None:
        """Stop every watcher, remove what we made, let the keeper go and exit with `status`. Known to the keeper before
        it is begun, so that the next arbiter goes on with it.
        """
        self.stopping, self.exit_status = True, status
        self.keeper.note([(None, f"{STOPPING} {status}")])
        self.spawn_task(because.carried(self._wind_down))

    def close(self) -> None:
        """Give back what the loop and this process lent; what runs is not touched."""
        loop = asyncio.get_running_loop()
        for fd in (self.hub.fileno(), self.keeper.fileno()):
            loop.remove_reader(fd)
        loop.remove_writer(self.keeper.fileno())
        for task in self._tasks:
            task.cancel()
        self.governors.close()
        self.relief.close()
        self.udp_watchdogs.close()
        self.ordering.close()
        for runner in self.runners.values():
            runner.close()
        self.hub.close()

    async def _wind_down(self) -> None:
        runners = list(self.runners.values())
        if stuck := await self.ordering.stop(runners):
            left = [f"{runner.spec.name} ({runner.busy})" for runner in stuck]
            say(
                "arbiter", f"cannot end the workers of {', '.join(left)}; the keeper tries, and leaves them if it can't"
            )
            self.keeper.quit(1)
            return
        for runner in runners:
            runner.remove_groups()
        self.keeper.quit(self.exit_status)

    def _adopt(self, held: Message) -> Message | None:
        """One slot of the inventory; returns an exit that no arbiter has acknowledged."""
        name, wid = held["slot"]
        if name == execs.WATCHER:
            self.execs.adopt(held)
            return None
        runner = self.runners.get(name)
        if runner is None:
            say("arbiter", f"slot {name}.{wid} belongs to no watcher of the configuration; left as it is")
            return None
        noted = _noted(held["note"], f"{name}.{wid}")
        there = Held(generation=held["generation"], state=held["state"], pid=held["pid"])
        runner.adopt(rebuild(noted, wid, there, clock.now()))
        found: Message | None = held["exit"]
        return found

    def _on_readable(self) -> None:
        try:
            for message in self.keeper.receive():
                self._on_message(message)
        except Closed:
            asyncio.get_running_loop().remove_reader(self.keeper.fileno())
            if not self.gone.done():
                self.gone.set_result(None)

    def on_broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A bug, or a host that refuses us: this arbiter can't be trusted; the next one starts from what is true."""
        failed = context.get("exception")
        say("arbiter", f"broken: {context['message']}: {failed!r}")
        if not self.gone.done():
            self.gone.set_exception(failed or RuntimeError(context["message"]))

    def _on_message(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "spawned" | "exited" | "refused" if message["key"][0] == execs.WATCHER:
                self.execs.on_news(message)
            case "spawned" | "exited" | "refused" | "hears":
                runner = self.runners.get(message["key"][0])
                if runner is not None:
                    runner.on_news(message)
                else:
                    for fd in message.get("fds", ()):
                        os.close(fd)
            case "ping":
                self.keeper.pong()
            case "counts":
                self._on_counts(message)
            case "terminate" if not self.stopping:
                self.terminate()
            case _:
                return

    async def ask_counts(self) -> Message:
        """What the keeper holds. Waits for ever for a keeper that knows no such question."""
        asked: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._counts.append(asked)
        self.keeper.ask_counts()
        return await asked

    def _on_counts(self, message: Message) -> None:
        for asked in self._counts:
            if not asked.done():
                asked.set_result({key: value for key, value in message.items() if key != "op"})
        self._counts.clear()

    def _watch_writability(self) -> None:
        """What the channel would not take at once goes out when it can."""
        loop = asyncio.get_running_loop()
        if self.keeper.wants_write and not self._writing:
            self._writing = True
            loop.add_writer(self.keeper.fileno(), self._on_writable)

    def _on_writable(self) -> None:
        with suppress(Closed):  # the reader sees it too
            self.keeper.flush()
        if not self.keeper.wants_write:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self.keeper.fileno())

    def spawn_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failed := task.exception()) is not None and not self.gone.done():
            self.gone.set_exception(failed)  # a broken arbiter is replaced, not kept


def _status(note: str) -> int:
    """The exit code that a dead arbiter had been told to end with."""
    _, _, status = note.partition(" ")
    return int(status) if note.startswith(STOPPING) and status.isdecimal() else 0


def _noted(note: str, slot: str) -> Slot | None:
    """An unreadable note costs its memory, not the worker: the keeper's inventory alone still says what lives."""
    if not note:
        return None
    try:
        return from_note(note)
    except msgspec.DecodeError as bad:
        say("arbiter", f"cannot read the note of {slot}: {bad}; its restart history is lost")
        return None
