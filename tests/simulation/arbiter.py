"""The arbiter's loop as the real runner has it, in the simulated host: slots in a dict, `step`, effects."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import assert_never

from circus_cg.core import ageing, replacement
from circus_cg.core import effects as do
from circus_cg.core import events as ev
from circus_cg.core.events import Restart
from circus_cg.core.readiness import unwell_by
from circus_cg.core.replacement import Begin, Drop, InPlace, Queue, Take, Wish
from circus_cg.core.slot import Slot, from_note, rebuild, step, to_note
from circus_cg.core.state import Reason
from circus_cg.core.watcher import Decisions, reconcile, stilled
from circus_cg.spec import WatcherSpec
from tests.simulation.host import Host, Key, News, Place
from tests.simulation.pairs import IMPOSSIBLE, Met
from tests.simulation.story import Happened, Story


class ArbiterDied(Exception):
    """In the middle of what it was doing."""


@dataclass
class Intent:
    """What the operator last wanted of a watcher; outlives the arbiter."""

    wanted: bool
    numprocesses: int
    renew: dict[int, int] = field(default_factory=dict)  # wid -> generation of the lives that are to be replaced
    frozen: dict[int, int] = field(default_factory=dict)  # wid -> generation of the lives that are to stand still


@dataclass
class Arbiter:
    specs: dict[str, WatcherSpec]
    intents: dict[str, Intent]
    host: Host
    clock: Callable[[], float]
    draw: Callable[[], float]
    fuse: int | None = None  # effects until it dies
    ageing: bool = True  # an age shorter than a stop takes is a rotation without an end
    slots: dict[Place, Slot] = field(default_factory=dict)
    story: Story = field(default_factory=Story)
    met: Met = field(default_factory=Counter)
    queues: dict[str, Queue] = field(default_factory=dict)  # of the replacements that wait
    asked: dict[tuple[str, int, int], float] = field(default_factory=dict)  # for whose replacement, and when
    _watched: set[Key] = field(default_factory=set)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def boot(self) -> None:
        """Rebuild from the keeper's inventory, hear the exits nobody acknowledged, then see to what is wanted."""
        self.host.news.clear()
        exits = []
        for place, entry in self.host.entries.items():
            noted = from_note(entry.note) if entry.note else None
            self.slots[place] = rebuild(noted, place[1], entry.held(), self.clock())
            if entry.end is not None:
                exits.append(News((*place, entry.generation), "exited", entry.held(), entry.end))
        for key, group in list(self.host.groups.items()):
            slot = self.slots.get(key[:2])
            if not group.populated and (slot is None or (slot.generation, slot.alive) != (key[2], True)):
                self.host.remove(key)
        for name in self.specs:  # before anything else: what is asked to leave must know that it is frozen
            for wid, kind in stilled(self.intents[name].frozen, self.of(name)):
                self.deliver((name, wid), kind(id=next(self._ids)))
        for news in exits:
            self.hear(news)
        for name in self.specs:
            self.forgive(name)
        for name in self.specs:
            self.tell(name, reconcile(self.intents[name].wanted, self.intents[name].numprocesses, self.of(name)))
            for wid, generation in self.intents[name].renew.items():
                slot = self.slots.get((name, wid))
                if slot is not None and slot.alive and slot.wanted and not slot.asked and slot.generation == generation:
                    self.deliver((name, wid), Restart(next(self._ids)))
            self.replace_on(name)
        self.fire_deadlines()

    def of(self, name: str) -> dict[int, Slot]:
        return {wid: slot for (watcher, wid), slot in self.slots.items() if watcher == name}

    def tell(self, name: str, decisions: Decisions) -> None:
        for wid, kind in decisions:
            self.deliver((name, wid), kind(id=next(self._ids)))
        self.replace_on(name)

    def end(self, place: Place, reason: Reason) -> None:
        self.deliver(place, ev.End(next(self._ids), self.slots[place].generation, reason, ""))
        self.replace_on(place[0])

    def replace(self, place: Place, reason: Reason) -> None:
        wish = Wish(place[1], self.slots[place].generation, reason, "")
        self.queues[place[0]] = replacement.wish(self.queues.get(place[0], Queue()), wish)
        self.replace_on(place[0])

    def replace_on(self, name: str) -> None:
        """The moves that are due now."""
        while True:
            queue = self.queues.get(name, Queue())
            self.queues[name], move = replacement.advance(self.specs[name], self.of(name), queue, None, self.clock())
            match move:
                case None:
                    return
                case Begin(wid, instead):
                    self.deliver((name, wid), ev.Start(next(self._ids), instead))
                case Take(wid, instead):
                    old = (name, instead.wid)
                    self.deliver((name, wid), ev.Start(next(self._ids)))
                    self.deliver(old, ev.End(next(self._ids), instead.generation, instead.reason, instead.detail))
                    self.deliver(old, ev.Stop(next(self._ids)))
                case Drop(wid, _, _):
                    self.deliver((name, wid), ev.Stop(next(self._ids)))
                case InPlace(wish, _):
                    self.deliver((name, wish.wid), ev.End(next(self._ids), wish.generation, wish.reason, wish.detail))
                case _:
                    assert_never(move)

    def read(self, key: Key) -> None:
        """A word leaves the socket when all is done about it: what we die of is heard again."""
        while words := self.host.said.get(key):
            self.deliver(key[:2], ev.Told(next(self._ids), key[2], words[0]))
            words.pop(0)
        self.replace_on(key[0])

    def checked(self, place: Place, failing: tuple[str, ...], late: bool = False) -> None:
        self.deliver(place, ev.Checked(next(self._ids), self.slots[place].generation - late, failing))
        self.replace_on(place[0])

    def forgive(self, name: str) -> None:
        """Checks that are no more."""
        for wid, slot in self.of(name).items():
            still = unwell_by(self.specs[name], slot)
            if still != slot.readiness.unwell:
                self.checked((name, wid), still)

    def replace_the_old(self) -> None:
        for name, spec in self.specs.items():
            asked = {key[1:]: at for key, at in self.asked.items() if key[0] == name}
            lives, _ = ageing.old(spec, self.of(name).values(), asked, self.clock())
            for wid, generation in lives:
                self.asked[name, wid, generation] = self.clock()
                self.replace((name, wid), "max-age")

    def fire_deadlines(self) -> None:
        if self.ageing:
            self.replace_the_old()
        for name, spec in self.specs.items():
            if replacement.due(spec, self.of(name)) <= self.clock():
                self.replace_on(name)
        for place in list(self.slots):
            if self.slots[place].deadline <= self.clock():
                self.deliver(place, ev.DeadlineReached(next(self._ids)))
                self.replace_on(place[0])
        self.look()

    def look(self) -> None:
        """At the watched groups; while a worker lives, its exit will tell. A group that was removed is empty."""
        for key in sorted(self._watched):
            slot, group = self.slots[key[:2]], self.host.groups.get(key)
            if slot.generation != key[2]:
                self._watched.discard(key)
            elif not slot.alive and (group is None or not group.populated):
                self._watched.discard(key)
                self.deliver(key[:2], ev.Emptied(next(self._ids), key[2]))
                self.replace_on(key[0])

    def hear(self, news: News) -> None:
        number, generation = next(self._ids), news.key[2]
        match news.what:
            case "spawned":
                assert news.held.pid is not None
                event: ev.Event = ev.Spawned(number, generation, news.held.pid)
            case "refused":
                event = ev.Refused(number, news.held.generation, news.held.pid)
            case "exited":
                self.read(news.key)
                event = self._exit_event(number, news)
        self.deliver(news.key[:2], event)
        self.replace_on(news.key[0])

    def deliver(self, place: Place, event: ev.Event) -> None:
        before = self.slots.get(place) or Slot(wid=place[1])
        now, draw = self.clock(), self.draw()
        after, effects = step(self.specs[place[0]], before, event, now, draw)
        assert (after, effects) == step(self.specs[place[0]], before, event, now, draw), "step must be pure"
        assert all(effect.cause == event.id for effect in effects)
        assert after is not before or effects == ()
        self.story.append(Happened(now, place, before.phase, after.phase, event, effects))
        pair = before.phase, type(event)
        self.met[pair] += 1
        assert pair not in IMPOSSIBLE, f"{pair}: {IMPOSSIBLE[pair]}"
        self.slots[place] = after
        spawned = False
        for effect in effects:
            self._burn()
            spawned |= isinstance(effect, do.Spawn)
            self._perform(place, effect, after)
        self._burn()
        if isinstance(event, ev.Exited | ev.LaunchFailed) and not spawned:
            self.host.ack((*place, event.generation), to_note(after))
        elif after != before and not spawned:
            self.host.note(place, to_note(after))

    def next_deadline(self) -> float:
        return min((slot.deadline for slot in self.slots.values()), default=inf)

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise ArbiterDied

    def _perform(self, place: Place, effect: do.Effect, slot: Slot) -> None:
        match effect:
            case do.Spawn(generation):
                self.host.spawn((*place, generation), to_note(slot))
            case do.Signal(generation, signum):
                self.host.signal((*place, generation), signum)
            case do.KillGroup(generation):
                self._watched.add((*place, generation))
                self.host.kill((*place, generation))
            case do.RemoveGroup(generation):
                self.host.remove((*place, generation))
            case do.FreezeGroup(generation):
                self.host.freeze((*place, generation))
            case do.ThawGroup(generation):
                self.host.thaw((*place, generation))
            case do.Publish():
                pass
            case _:
                assert_never(effect)

    def _exit_event(self, number: int, news: News) -> ev.Event:
        group, end = self.host.groups.get(news.key), news.end
        assert end is not None
        if end.error is not None:
            return ev.LaunchFailed(number, news.key[2], "exec", 2, end.error)
        populated = group is not None and group.populated
        return ev.Exited(number, news.key[2], end.code, end.signal, end.oom, "", populated)
