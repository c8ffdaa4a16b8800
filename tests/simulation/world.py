"""A whole arbiter in a world of its own: every move is a method, every promise is checked after each, by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from signal import SIGKILL, SIGSEGV

from msgspec.structs import replace

from circus_cg.core.events import Freeze, Thaw
from circus_cg.core.notification import Word
from circus_cg.core.readiness import unwell_by
from circus_cg.core.replacement import Queue, due
from circus_cg.core.restart import follows
from circus_cg.core.slot import Phase
from circus_cg.core.state import Reason
from circus_cg.core.watcher import can_freeze, reconcile, restart, start
from circus_cg.spec import HealthCheck, WatcherSpec
from tests.simulation.arbiter import Arbiter, ArbiterDied, Intent
from tests.simulation.host import End, Host, Key, Place
from tests.simulation.pairs import Met
from tests.simulation.story import Story

NOTHING_LEFT = (Phase.IDLE, Phase.BACKOFF, Phase.FAILED, Phase.DONE)
REMEMBERED = 20  # news that may be told a second time
ENDS = (
    End(code=0),
    End(code=1),
    End(signal=SIGSEGV),
    End(signal=SIGKILL),
    End(signal=SIGKILL, oom="own"),
    End(signal=SIGKILL, oom="host"),
)


class World:
    def __init__(self, specs: tuple[WatcherSpec, ...], draw: Callable[[], float] = lambda: 0.5) -> None:
        self.now = 0.0
        self.host = Host()
        self.specs = {spec.name: spec for spec in specs}
        self.intents = {spec.name: Intent(spec.autostart, spec.numprocesses) for spec in specs}
        self.arbiter: Arbiter | None = None
        self.story = Story()
        self.met: Met = Counter()
        self._forgotten: set[Place] = set()  # generations that the operator named there may be others now
        self._draw = draw
        self.arbiter_boots()

    # -- the arbiter -------------------------------------------------------------------------------

    def arbiter_boots(self) -> None:
        self.arbiter = Arbiter(
            self.specs, self.intents, self.host, lambda: self.now, self._draw, story=self.story, met=self.met
        )
        self._try(self.arbiter.boot)

    def arbiter_dies(self, fuse: int = 0) -> None:
        """At once, or after that many more effects."""
        assert self.arbiter is not None
        if fuse == 0:
            self._bury()
        else:
            self.arbiter.fuse = fuse

    def deliver(self) -> None:
        """The oldest news; a dead arbiter's are lost."""
        if self.host.news and self.arbiter is not None:
            news = self.host.news.pop(0)
            self.host.told = [*self.host.told[-REMEMBERED:], news]
            self._try(lambda: self._up().hear(news))
        self._look()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        if self.arbiter is not None:
            self._try(self.arbiter.fire_deadlines)

    # -- the operator ------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        intent = self.intents[name]
        intent.wanted = True
        self._try(lambda: self._up().tell(name, start(intent.numprocesses, self._up().of(name))))

    def stop(self, name: str) -> None:
        self.intents[name].wanted = False
        self._reconcile(name)

    def restart(self, name: str) -> None:
        intent = self.intents[name]
        intent.wanted = True
        intent.renew |= {wid: slot.generation for wid, slot in self._up().of(name).items() if slot.alive}
        self._try(lambda: self._up().tell(name, restart(intent.numprocesses, self._up().of(name))))

    def freeze(self, name: str) -> None:
        """Each of its workers that can be."""
        slots = self._up().of(name)
        self.intents[name].frozen |= {wid: slot.generation for wid, slot in slots.items() if can_freeze(slot)}
        self._try(lambda: self._up().tell(name, tuple((wid, Freeze) for wid in slots)))

    def thaw(self, name: str) -> None:
        self.intents[name].frozen.clear()
        self._try(lambda: self._up().tell(name, tuple((wid, Thaw) for wid in self._up().of(name))))

    def end(self, place: Place, reason: Reason) -> None:
        self._try(lambda: self._up().end(place, reason))

    def replace(self, place: Place, reason: Reason) -> None:
        self._try(lambda: self._up().replace(place, reason))

    def says(self, key: Key, word: Word) -> None:
        self.host.says(key, word)

    def hears(self, key: Key) -> None:
        self._try(lambda: self._up().read(key))
        self._look()

    def checked(self, place: Place, failing: tuple[str, ...], late: bool = False) -> None:
        """`late`: the answer is about the life before."""
        self._try(lambda: self._up().checked(place, failing, late))

    def asks(self, name: str, health: tuple[HealthCheck, ...]) -> None:
        """The configuration is another; it may be read while no arbiter lives."""
        self.specs[name] = replace(self.specs[name], health=health)
        if self.arbiter is not None:
            self._try(lambda: self._up().forgive(name))

    def resize(self, name: str, numprocesses: int) -> None:
        self.intents[name].numprocesses = numprocesses
        self._reconcile(name)

    # -- the kernel --------------------------------------------------------------------------------

    def forks(self, key: Key) -> None:
        self.host.groups[key].others += 1

    def other_dies(self, key: Key) -> None:
        self.host.groups[key].others -= 1
        self._look()

    def wedge(self, key: Key, wedged: bool) -> None:
        self.host.groups[key].wedged = wedged

    def keeper_forgets(self, place: Place) -> None:
        """All of a slot in which nothing is: its generations begin again, and what is asked next does not fit."""
        self.host.forget(place)
        self._forgotten.add(place)

    # -- promises ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Safety: holds after every move."""
        for place, entry in self.host.entries.items():
            lives = [key for key, group in self.host.groups.items() if key[:2] == place and group.populated]
            assert len(lives) <= 1, f"two lives at once: {lives}"
            if entry.state == "launching":
                assert not lives, f"{lives} lives while the next life of {place} is launched"
        if self.arbiter is not None:
            self._check_slots(self.arbiter)

    def _check_slots(self, arbiter: Arbiter) -> None:
        for place, slot in arbiter.slots.items():
            still = slot.frozen and (slot.pid is not None or slot.phase is Phase.BACKOFF)
            watched = slot.phase is Phase.READY and slot.readiness.period > 0
            awaited = slot.phase is Phase.STARTING and slot.deadline < inf  # one that has said so may wait for its exec
            assert not (slot.phase is Phase.STARTING and slot.readiness.awaited and not still) or awaited, f"{slot}"
            waits = slot.phase is Phase.STOPPING or (not still and (slot.phase is Phase.BACKOFF or watched or awaited))
            assert not (slot.frozen and slot.phase in (Phase.IDLE, Phase.FAILED, Phase.DONE)), f"{slot}"
            assert (slot.deadline < inf) == waits, f"{slot}"
            populated = any(group.populated for key, group in self.host.groups.items() if key[:2] == place)
            entry = self.host.entries.get(place)
            running = entry is not None and entry.state in ("launching", "running")
            known = entry is not None and slot.alive and slot.generation == entry.generation
            assert not (slot.phase in NOTHING_LEFT and (populated or running)), f"something is left of {slot}"
            assert known or not running, f"{slot} does not know {entry}"
            unasked = unwell_by(self.specs[place[0]], slot) != slot.readiness.unwell
            assert not (unasked and slot.phase in (Phase.STARTING, Phase.READY)), f"{slot} waits for what nobody asks"
            assert slot.wanted == (slot.phase is not Phase.IDLE) or slot.phase is Phase.STOPPING, f"{slot}"
            group = self.host.groups.get((*place, slot.generation))
            if slot.phase is Phase.READY and self.specs[place[0]].ready != "exec":
                assert (*place, slot.generation) in self.host.ready, f"{slot} never said so"
            if group is not None and (slot.phase is Phase.READY or (slot.phase is Phase.STARTING and slot.pid)):
                assert group.frozen == slot.frozen, f"{slot} and its group {group}"
            if group is not None and slot.alive and group.frozen:
                assert slot.frozen, f"{slot} was left in the frozen {group}"
        for name, intent in self.intents.items():
            wanted = [slot for slot in arbiter.of(name).values() if slot.wanted]
            newcomers = [slot for slot in wanted if slot.instead is not None]
            assert len(newcomers) <= (1 if intent.wanted else 0), f"{name}: {newcomers}"
            count = intent.numprocesses if intent.wanted else 0
            assert len(wanted) == count + len(newcomers), f"{name}: {wanted}"

    def settle(self, well: bool = True) -> None:
        """Liveness: in a world without faults everybody arrives, and a stop ends with nothing left.

        `well`: they pass their checks, too; else one that is asked never does. Each of them is to be replaced by then,
        and either is or stays.
        """
        if self.arbiter is None:
            self.arbiter_boots()
        self._up().fuse = None
        self._up().ageing = False
        self._calm(well)
        for place, slot in list(self._up().slots.items()):
            if slot.phase is Phase.READY:
                self.replace(place, "max-age")
        self._calm(well)
        for place, slot in self._up().slots.items():
            settled = (Phase.READY, Phase.BACKOFF, Phase.FAILED, Phase.DONE) if slot.wanted else (Phase.IDLE,)
            still = slot.frozen and slot.phase is Phase.STARTING and slot.readiness.awaited
            assert slot.phase in settled or still, f"{slot} does not settle"
            self._check_end(place)
            if slot.phase is Phase.DONE:
                assert slot.last_exit is not None
                assert not follows(self.specs[place[0]], slot.last_exit), f"{slot} should have been restarted"
            renewed = self.intents[place[0]].renew.get(place[1]) == slot.generation
            assert not (renewed and slot.alive) or place in self._forgotten, f"{slot} was to be renewed"
            assert slot.instead is None or slot.frozen, f"{slot} neither takes over nor goes"
        for name, queue in self._up().queues.items():
            still = any(slot.frozen for slot in self._up().of(name).values())
            assert not queue or still, f"{name}: {queue} waits for ever"
        for name in self.specs:
            self.stop(name)
        self._calm(well)
        assert all(slot.phase is Phase.IDLE for slot in self._up().slots.values())
        assert not self.host.groups, f"groups left: {self.host.groups}"
        assert all(entry.state == "empty" for entry in self.host.entries.values())

    def _calm(self, well: bool) -> None:
        """Time passes and nothing goes wrong, until nobody is on the way and no wish can be granted any more."""
        for _ in range(60):
            for group in self.host.groups.values():
                group.wedged = False
            while self.host.launching() or self.host.news:
                for key in self.host.launching():
                    self.host.launched(key)
                self.deliver()
                self.check()
            self._all_is_well(well)
            self._look()
            slots = self._up().slots.values()
            moving = [s for s in slots if s.phase is Phase.STOPPING or (s.phase is Phase.STARTING and not s.frozen)]
            times = [slot.deadline for slot in moving] + self._times_of_wishes()
            if not times:
                return
            if (at := min(times)) < inf:
                self.advance(max(0.0, at - self.now))
            self.check()

    def _times_of_wishes(self) -> list[float]:
        """Until when they wait: a newcomer's checks, or the next life after an end in place."""
        found = []
        for name, spec in self.specs.items():
            slots, queue = self._up().of(name), self._up().queues.get(name, Queue())
            found.append(due(spec, slots))
            if queue.in_place is not None and (slot := slots.get(queue.in_place.wid)) is not None:
                found += [slot.deadline] if slot.phase is Phase.BACKOFF else []
        return [at for at in found if at < inf]

    def _all_is_well(self, well: bool) -> None:
        """Everybody who can says that it is ready and alive, and passes its checks, or does not."""
        for key in self.host.living():
            self.says(key, Word(ready=True, alive=True))
        for key in list(self.host.said):
            self.hears(key)
            self.check()
        for place, slot in list(self._up().slots.items()):
            if slot.phase is Phase.READY:
                self.checked(place, () if well else tuple(check.name for check in self.specs[place[0]].health))

    def _check_end(self, place: tuple[str, int]) -> None:
        """Every exit reaches its slot: at rest, the last one known is the last one that happened."""
        slot = self._up().slots[place]
        if place in self.host.ends:
            _, end = self.host.ends[place]
            last = slot.last_exit
            assert last is not None, f"{slot} never heard of {end}"
            assert (last.code, last.signal, last.reason == "exec") == (end.code, end.signal, end.error is not None)

    # -- the moving parts --------------------------------------------------------------------------

    def _up(self) -> Arbiter:
        assert self.arbiter is not None
        return self.arbiter

    def _reconcile(self, name: str) -> None:
        intent = self.intents[name]
        self._try(lambda: self._up().tell(name, reconcile(intent.wanted, intent.numprocesses, self._up().of(name))))

    def _look(self) -> None:
        if self.arbiter is not None:
            self._try(self.arbiter.look)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ArbiterDied:
            self._bury()

    def _bury(self) -> None:
        self.story.append(f"{self.now:9.2f} the arbiter dies")
        self.arbiter = None
        self.host.news.clear()
        self.host.told.clear()
        self.host.drop_sockets()
