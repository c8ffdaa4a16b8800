"""A slot driven by hand: each call is one event, and returns what the slot asks for."""

from typing import Any

from circus_cg.core import events as ev
from circus_cg.core.effects import Effect, Publish
from circus_cg.core.notification import Word
from circus_cg.core.slot import Slot, step
from circus_cg.core.state import Reason
from circus_cg.spec import WatcherSpec


class Life:
    def __init__(self, draw: float = 0.0, **spec: Any) -> None:
        self.spec = WatcherSpec(name="w", cmd=("true",), **spec)
        self.slot = Slot(wid=1)
        self.now = 100.0
        self.draw = draw
        self.published: list[str] = []
        self.details: list[str] = []
        self._id = 0

    def start(self) -> tuple[Effect, ...]:
        return self.feed(ev.Start(self._next()))

    def stop(self) -> tuple[Effect, ...]:
        return self.feed(ev.Stop(self._next()))

    def restart(self) -> tuple[Effect, ...]:
        return self.feed(ev.Restart(self._next()))

    def freeze(self) -> tuple[Effect, ...]:
        return self.feed(ev.Freeze(self._next()))

    def thaw(self) -> tuple[Effect, ...]:
        return self.feed(ev.Thaw(self._next()))

    def end(self, reason: Reason = "watchdog", detail: str = "", **more: Any) -> tuple[Effect, ...]:
        fields = {"generation": self.slot.generation} | more
        return self.feed(ev.End(self._next(), reason=reason, detail=detail, **fields))

    def told(self, generation: int | None = None, **word: Any) -> tuple[Effect, ...]:
        return self.feed(ev.Told(self._next(), generation or self.slot.generation, Word(**word)))

    def checked(self, *failing: str) -> tuple[Effect, ...]:
        return self.feed(ev.Checked(self._next(), self.slot.generation, failing, "connection refused"))

    def spawned(self, generation: int | None = None, pid: int = 7) -> tuple[Effect, ...]:
        return self.feed(ev.Spawned(self._next(), generation or self.slot.generation, pid))

    def launch_failed(self) -> tuple[Effect, ...]:
        return self.feed(ev.LaunchFailed(self._next(), self.slot.generation, "exec", 2, "No such file or directory"))

    def exited(self, code: int | None = 1, *, generation: int | None = None, **more: Any) -> tuple[Effect, ...]:
        fields = {"signal": None, "oom": None, "detail": "", "populated": False} | more
        return self.feed(ev.Exited(self._next(), generation or self.slot.generation, code, **fields))

    def emptied(self) -> tuple[Effect, ...]:
        return self.feed(ev.Emptied(self._next(), self.slot.generation))

    def refused(self, generation: int, pid: int | None) -> tuple[Effect, ...]:
        return self.feed(ev.Refused(self._next(), generation, pid))

    def deadline(self) -> tuple[Effect, ...]:
        """Time passes until the slot wants to be woken."""
        self.now = max(self.now, self.slot.deadline)
        return self.feed(ev.DeadlineReached(self._next()))

    def feed(self, event: ev.Event) -> tuple[Effect, ...]:
        """The effects but Publish, whose kinds are in `published`."""
        self.slot, effects = step(self.spec, self.slot, event, self.now, self.draw)
        self.published = [effect.kind for effect in effects if isinstance(effect, Publish)]
        self.details = [effect.detail for effect in effects if isinstance(effect, Publish)]
        assert all(effect.cause == event.id for effect in effects)
        return tuple(effect for effect in effects if not isinstance(effect, Publish))

    def lives(self, seconds: float, code: int = 1) -> tuple[Effect, ...]:
        """A whole life of that length from its spawn on."""
        self.spawned()
        self.now += seconds
        return self.exited(code)

    @property
    def id(self) -> int:
        return self._id

    def _next(self) -> int:
        self._id += 1
        return self._id
