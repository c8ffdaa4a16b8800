"""One watcher's shell: an event in, one `step`, its effects carried out. No queue, no lock, nothing polls.

Each call runs to its end without waiting, so events of one watcher never interleave, and no watcher waits for another.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, assert_never

from msgspec.structs import replace

from circus_cg.arbiter.ageing import Ageing
from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.arbiter.deadlines import Deadlines
from circus_cg.arbiter.health import Health
from circus_cg.arbiter.holding import Hold, Holding
from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.lives import LifeGroups
from circus_cg.arbiter.notes import Notes, is_heartbeat
from circus_cg.arbiter.recipe import Recipe
from circus_cg.arbiter.replacing import Replacing
from circus_cg.arbiter.voices import Sender, Voices
from circus_cg.arbiter.waiting import Waiters
from circus_cg.arbiter.warming import Warming
from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.watch import EventHub
from circus_cg.core import effects as do
from circus_cg.core import events as ev
from circus_cg.core import watcher
from circus_cg.core.load import OwnLoad
from circus_cg.core.notification import Word
from circus_cg.core.order import Obstacle
from circus_cg.core.slot import Phase, Slot, step, to_note
from circus_cg.core.state import Reason
from circus_cg.host import clock
from circus_cg.host.identity import Identity
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.log import say, says
from circus_cg.keeper.messages import Key, Message
from circus_cg.spec import WatcherSpec

AT_REST = (Phase.IDLE, Phase.BACKOFF, Phase.FAILED, Phase.DONE)  # nothing lives in these


class Shared(NamedTuple):
    """What all runners of an arbiter use."""

    boot: ArbiterBoot
    keeper: KeeperClient
    hub: EventHub
    journal: Journal
    admit: Callable[[WatcherRunner], Obstacle | None]  # None: a watcher may begin; else why not yet
    changed: Callable[[], None]  # told whenever a worker has come or gone
    checking: Callable[[WatcherRunner], Health]  # of the health of its workers
    hold: Hold  # of a worker whose next life may have to wait


class WatcherRunner:
    def __init__(self, spec: WatcherSpec, identity: Identity, group: WatcherGroup, shared: Shared) -> None:
        self.spec, self.identity = spec, identity
        self.wanted = False
        self.held: Obstacle | None = None  # why it does not begin, though it is wanted
        self.numprocesses = spec.numprocesses
        self.slots: dict[int, Slot] = {}
        self.phases: Counter[Phase] = Counter()
        self.frozen = 0  # slots
        self._boot = shared.boot
        self._recipe = Recipe(spec, shared.boot, identity)
        self._keeper, self._journal = shared.keeper, shared.journal
        self._lives = LifeGroups(group, shared.hub, shared.journal, self._on_emptied)
        self._notes = Notes(shared.keeper, spec.name)
        self._voices = Voices(spec.name, self._hear, self._admits)
        holding = Holding(spec.name, shared.hold, shared.journal)
        self._deadlines = Deadlines(self.slots, holding, self._on_deadline)
        self.own_load: dict[int, OwnLoad] = {}  # by wid, as the workers say
        self._replacing = Replacing(self, shared.journal)
        self._ageing, self._warming = Ageing(self), Warming(self.take_up)
        self._admit, self._changed = shared.admit, shared.changed
        self.rolling = asyncio.Lock()  # new lives one after the other: one such series at a time
        self._waiters = Waiters()
        self._loop = asyncio.get_running_loop()
        self.health = shared.checking(self)

    # -- what the operator asks ------------------------------------------------------------------

    def want(self, wanted: bool, numprocesses: int) -> None:
        """Stop, grow, shrink, or take up again: the set's decision, then an event for each slot concerned."""
        self._say_wish(wanted)
        self.wanted, self.numprocesses = wanted, numprocesses
        self.take_up()

    def take_up(self, cause: int | None = None) -> None:
        """What is wanted, as far as it may be now."""
        self._carry_on(watcher.reconcile(self.wanted, self.numprocesses, self.slots), cause)

    def start(self) -> None:
        self._say_wish(True)
        self.wanted = True
        self._carry_on(watcher.start(self.numprocesses, self.slots))

    def restart(self, numprocesses: int | None = None) -> None:
        self._say_wish(True)
        self.wanted = True
        if numprocesses is not None:
            self.numprocesses = numprocesses
        self._carry_on(watcher.restart(self.numprocesses, self.slots))

    def revise(self, spec: WatcherSpec, identity: Identity, group: WatcherGroup) -> None:
        """What holds from now on; lives that have begun keep what they began with."""
        self.spec, self.identity = spec, identity
        self._lives.regroup(group, self.lives())
        self._recipe = Recipe(spec, self._boot, identity)
        self._ageing.look()
        self.health.renew()

    @property
    def current(self) -> WatcherSpec:
        """The spec with the count that holds now."""
        return replace(self.spec, numprocesses=self.numprocesses)

    def signal(self, slot: Slot, signum: int) -> None:
        """To the main process of a life."""
        self._keeper.signal(self._key(slot.wid, slot.generation), signum)

    def lives(self) -> dict[int, int]:
        """wid -> generation of those that are there or asked for."""
        return {slot.wid: slot.generation for slot in self.slots.values() if slot.alive}

    def outdated(self) -> dict[int, int]:
        """wid -> generation of those born by another spec: while no arbiter lived, the configuration was read again."""
        return {s.wid: s.generation for s in self.slots.values() if s.alive and s.born not in self._recipe.digests}

    def renew(self, lives: Mapping[int, int], spec: WatcherSpec | None = None) -> None:
        """A new life instead of each of these that is still there and wanted; `spec` tells how they are stopped."""
        for wid, generation in lives.items():
            slot = self.slots.get(wid)
            if slot is not None and slot.alive and slot.wanted and not slot.asked and slot.generation == generation:
                self.deliver(wid, ev.Restart(id=self._journal.next_id()), spec=spec)

    def still(self, lives: Mapping[int, int]) -> None:
        """These lives and no others stand still."""
        self._tell(watcher.stilled(lives, self.slots))

    def freeze(self, wids: Iterable[int]) -> None:
        self._tell(tuple((wid, ev.Freeze) for wid in wids))

    def thaw(self, wids: Iterable[int]) -> None:
        self._tell(tuple((wid, ev.Thaw) for wid in wids))

    def end(self, wid: int, generation: int, reason: Reason, detail: str, signum: int | None = None) -> None:
        """This life, if it is there still, and not for an operator: what follows is for the restart policy to say."""
        self.deliver(wid, ev.End(self._journal.next_id(), generation, reason, detail, signum))

    def replace(self, wid: int, generation: int, reason: Reason, detail: str) -> None:
        """This life by that of another worker, which is ready before it goes; in place where there can't be one more.

        It stays if the other one does not become ready. One at a time in a watcher; the others wait.
        """
        self._replacing.ask(wid, generation, reason, detail)

    def adopt(self, slot: Slot) -> None:
        """A slot that lived before this arbiter did."""
        self._put(slot)
        self._deadlines.follow(slot)
        if slot.alive:
            self._lives.watch_oom(slot.wid, slot.generation)
        self._ageing.consider(slot)
        self.health.forgive(slot)
        if slot.instead is not None:
            self._replacing.look_soon()

    def sweep(self) -> None:
        """Groups of lives that are over, whose removal a dead arbiter still owed."""
        current = {(slot.wid, slot.generation) for slot in self.slots.values() if slot.phase not in AT_REST}
        self._lives.sweep(current)

    def settled(self, condition: Callable[[], bool]) -> asyncio.Future[None]:
        """Done as soon as `condition` holds; it is looked at after each event of this watcher."""
        return self._waiters.add(condition)

    def is_down(self) -> bool:
        return not self.busy and self.held is None and not self.is_warming

    def is_up(self) -> bool:
        moving = any(self.phases[p] for p in (Phase.STARTING, Phase.STOPPING))
        return not (moving or self.is_warming or (self.held is not None and self.held.moving))

    @property
    def is_warming(self) -> bool:
        """Some of its workers are yet to begin, after warmup_delay."""
        return self._warming.is_waiting

    @property
    def waiting(self) -> int:
        """Commands that wait for it."""
        return len(self._waiters)

    def request_for(self, wid: int, argv: list[str], group: WorkerGroup) -> dict[str, Any]:
        """Another command as this worker would run it, in a group of its own."""
        return self._recipe.command(wid, group, argv)

    @property
    def group(self) -> WatcherGroup:
        return self._lives.group

    def group_of(self, wid: int, generation: int) -> WorkerGroup:
        return self._lives.of(wid, generation)

    @property
    def busy(self) -> int:
        """Slots that are neither idle nor failed."""
        return sum(self.phases[p] for p in (Phase.STARTING, Phase.READY, Phase.BACKOFF, Phase.STOPPING))

    # -- what the keeper and the kernel tell -------------------------------------------------------------------

    def on_news(self, message: Message) -> None:
        key = Key(*message["key"])
        generation, event_id = key.generation, self._journal.next_id()
        match message["op"]:
            case "spawned":
                self.deliver(key.wid, ev.Spawned(id=event_id, generation=generation, pid=message["pid"]))
            case "hears":
                self._voices.take(key.wid, generation, message)
            case "exited":
                self._voices.drain(key.wid)
                # As of the death itself: while no arbiter lived, the worker was not up and its backoff has begun.
                self.deliver(key.wid, self._lives.ended(event_id, key, message), message["at"])
            case "refused":
                held, pid = message["generation"], message["pid"]
                self.deliver(key.wid, ev.Refused(id=event_id, generation=held, pid=pid))

    def _hear(self, wid: int, generation: int, word: Word) -> None:
        if word.busy is not None or word.backlog is not None:
            self.own_load[wid] = OwnLoad(generation, clock.now(), word.busy, word.backlog)
        self.deliver(wid, ev.Told(id=self._journal.next_id(), generation=generation, word=word))

    def _admits(self, wid: int, generation: int, who: Sender) -> bool:
        slot = self.slots.get(wid)
        return slot is not None and slot.generation == generation and self._lives.admits(slot, who, self.identity.uid)

    def _on_emptied(self, wid: int, generation: int) -> None:
        """While its worker lives that comes with the exit instead."""
        slot = self.slots.get(wid)
        if slot is not None and slot.generation == generation and not slot.alive:
            self._lives.forget(wid, generation)
            self.deliver(wid, ev.Emptied(id=self._journal.next_id(), generation=generation))

    def deliver(self, wid: int, event: ev.Event, at: float | None = None, *, spec: WatcherSpec | None = None) -> None:
        before = self.slots.get(wid) or Slot(wid=wid)
        now = clock.now() if at is None else at
        after, effects = step(spec or self.spec, before, event, now, random.random())
        if says("debug"):
            say("arbiter", f"{self.spec.name}.{wid} {before.phase} -> {after.phase} because {event}", "debug")
        if after is before:
            if isinstance(event, ev.Exited | ev.LaunchFailed):  # told twice: acknowledged twice
                self._notes.acknowledge(wid, event.generation, to_note(before))
            return
        if isinstance(event, ev.Told) and not effects and is_heartbeat(before, after):
            self._put(after)  # as often as it likes: only the deadline is another
            self._deadlines.follow(after)
            return
        self._journal.follow(self.spec.name, wid, event)
        if any(isinstance(effect, do.Spawn) for effect in effects):
            after = replace(after, born=self._recipe.digest)
        self._put(after)
        note = to_note(after)
        for effect in effects:
            self._perform(after, effect, note)
        if any(isinstance(effect, do.Spawn) for effect in effects):
            self._notes.carried(wid)
        else:
            self._notes.keep(event, before, after, note)
        if isinstance(event, ev.Exited | ev.LaunchFailed):
            self._voices.forget(wid)
        self._deadlines.follow(after)
        if before.phase is not after.phase or before.frozen:
            self._follow(after)
        if self._replacing.is_active:
            self._replacing.look_soon()
        self._waiters.look()

    def _follow(self, slot: Slot) -> None:
        """What others do about a slot that is in another phase now, or was thawed."""
        if not self.wanted and not self.busy and slot.phase is Phase.IDLE:
            self._journal.tell(self.spec.name, "stopped")
        if self.spec.max_age > 0:
            self._ageing.consider(slot)
        self._changed()

    def close(self) -> None:
        """No deadline is kept and no descriptor held any more."""
        self._deadlines.close()
        self._ageing.close()
        self._replacing.close()
        self._warming.close()
        self._notes.close()
        self._voices.close()
        self.health.close()
        self._lives.close()

    def remove_groups(self) -> bool:
        """At the end: what the watcher made. False: something is not empty yet."""
        return self._lives.remove_all()

    def forget(self) -> None:
        """The keeper's memory of a watcher that is down and will not be back."""
        self._notes.say()
        for wid in self.slots:
            self._keeper.forget((self.spec.name, wid))

    # -- effects -----------------------------------------------------------------------------------

    def _perform(self, slot: Slot, effect: do.Effect, note: str) -> None:
        match effect:
            case do.Spawn():
                key = self._key(slot.wid, effect.generation)
                group = self._lives.begun(slot.wid, effect.generation)
                self._keeper.spawn(key, self._recipe.life(slot.wid, group, self._keeper.version), note)
                self._lives.watch_oom(slot.wid, effect.generation)
            case do.Signal():
                self._keeper.signal(self._key(slot.wid, effect.generation), effect.signum)
                if effect.group:
                    self._lives.signal_others(slot, effect.signum)
            case do.KillGroup():
                self._lives.kill(slot.wid, effect.generation)
            case do.RemoveGroup():
                # Of a worker that is not replaced nothing is left when its stop is told.
                remove = self._lives.remove_soon if slot.phase is Phase.STARTING else self._lives.remove_now
                remove(slot.wid, effect.generation)
            case do.Publish():
                self._journal.publish(self.spec.name, slot.wid, effect)
            case do.FreezeGroup():
                if not self._lives.freeze(slot.wid, effect.generation):  # then it is not called frozen
                    self._loop.call_soon(self.deliver, slot.wid, ev.Thaw(id=self._journal.next_id()))
            case do.ThawGroup():
                self.group_of(slot.wid, effect.generation).thaw()
            case _:
                assert_never(effect)

    def _say_wish(self, wanted: bool) -> None:
        """Said of a watcher that was at rest, or is asked to stop; not of one that a new arbiter finds running."""
        if wanted and not self.wanted and not self.busy:
            self._journal.tell(self.spec.name, "start")
        elif self.wanted and not wanted:
            self._journal.tell(self.spec.name, "stop")

    # -- bookkeeping ---------------------------------------------------------------------------------

    def _carry_on(self, decided: watcher.Decisions, cause: int | None = None) -> None:
        """What was decided for the whole set, as far as it may be now. What has begun is held back by nobody."""
        before, self.held = self.held, None
        if self.wanted and watcher.begins(decided) and (before is not None or not self.busy):
            self.held = self._admit(self)
        if self.held is None:
            self._tell(self._warming.pace(self.spec.warmup_delay, decided, self.slots), cause)
        elif self.held != before:
            self._journal.tell(self.spec.name, "held", self.held.text)
        self._waiters.look()

    def _tell(self, decisions: watcher.Decisions, cause: int | None = None) -> None:
        for wid, kind in decisions:
            self.deliver(wid, kind(id=cause or self._journal.next_id()))

    def _put(self, slot: Slot) -> None:
        before = self.slots.get(slot.wid)
        if before is not None:
            self.phases[before.phase] -= 1
            self.frozen -= before.frozen
        self.phases[slot.phase] += 1
        self.frozen += slot.frozen
        self.slots[slot.wid] = slot
        if slot.pid is not None and (before is None or before.pid is None):
            self._lives.born(slot.wid, slot.generation, slot.pid)
        if self.health.checks:
            self.health.follow(slot)

    def _on_deadline(self, wid: int) -> None:
        self.deliver(wid, ev.DeadlineReached(id=self._journal.next_id()))

    def _key(self, wid: int, generation: int) -> Key:
        return Key(self.spec.name, wid, generation)
