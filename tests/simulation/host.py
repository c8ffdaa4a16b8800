"""The simulated machine: a kernel with processes in groups, and a keeper that holds what lives and what died."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Literal

from circus_cg.core.adoption import Held
from circus_cg.core.notification import Word

Place = tuple[str, int]  # watcher, wid
Key = tuple[str, int, int]  # and generation


@dataclass
class Group:
    """One life's cgroup. `main`: its worker; `others`: how many more processes are in it."""

    main: int | None = None
    others: int = 0
    stubborn: bool = False  # ignores the stop signal
    wedged: bool = False  # uninterruptible: SIGKILL waits until it isn't
    frozen: bool = False
    pending: int | None = None  # a signal that waits for the thaw

    @property
    def populated(self) -> bool:
        return self.main is not None or self.others > 0


@dataclass(frozen=True)
class End:
    """What the keeper records of a life that is over; `error`: it never came to its exec."""

    code: int | None = None
    signal: int | None = None
    oom: Literal["own", "host"] | None = None
    error: str | None = None


@dataclass(frozen=True)
class News:
    key: Key
    what: Literal["spawned", "exited", "refused"]
    held: Held
    end: End | None = None


@dataclass
class Entry:
    """The keeper's memory of one slot."""

    generation: int = 0
    state: Literal["empty", "launching", "running", "exited"] = "empty"
    pid: int | None = None
    note: str = ""
    end: End | None = None

    def held(self) -> Held:
        return Held(self.generation, self.state, self.pid)


@dataclass
class Host:
    entries: dict[Place, Entry] = field(default_factory=dict)
    groups: dict[Key, Group] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)  # to the present arbiter
    told: list[News] = field(default_factory=list)  # lately, to it: each may be told again
    said: dict[Key, list[Word]] = field(default_factory=dict)  # by workers, and in their sockets still
    ready: set[Key] = field(default_factory=set)  # who has ever said so, for the checks
    ends: dict[Place, tuple[int, End]] = field(default_factory=dict)  # of each slot's last life to end, for the checks
    _pids: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    # -- what an arbiter asks of the keeper --------------------------------------------------------

    def spawn(self, key: Key, note: str) -> None:
        """A compare-and-swap: only in an empty slot, only the next generation. Acknowledges the last exit."""
        entry = self.entries.setdefault(key[:2], Entry())
        if entry.state in ("launching", "running") or key[2] != entry.generation + 1:
            self.news.append(News(key, "refused", entry.held()))
            return
        self.entries[key[:2]] = Entry(key[2], "launching", None, note)
        self.groups[key] = Group()

    def signal(self, key: Key, signum: int) -> None:
        group = self.groups.get(key)
        if group is None or group.main is None or group.stubborn or group.wedged:
            return
        if group.frozen:
            group.pending = signum
        else:
            self.dies(key, End(signal=signum))

    def ack(self, key: Key, note: str) -> None:
        entry = self._current(key)
        if entry is not None:
            entry.note = note
            if entry.state == "exited":
                entry.state, entry.end = "empty", None

    def note(self, place: Place, note: str) -> None:
        self.entries.setdefault(place, Entry()).note = note

    # -- what an arbiter does to groups ------------------------------------------------------------

    def kill(self, key: Key) -> None:
        group = self.groups.get(key)
        if group is None or group.wedged:
            return
        group.others = 0
        if group.main is not None:
            self.dies(key, End(signal=SIGKILL))

    def freeze(self, key: Key) -> None:
        if key in self.groups:
            self.groups[key].frozen = True

    def thaw(self, key: Key) -> None:
        group = self.groups.get(key)
        if group is None:
            return
        group.frozen = False
        if group.pending is not None:
            signum, group.pending = group.pending, None
            self.signal(key, signum)

    def remove(self, key: Key) -> None:
        group = self.groups.get(key)
        if group is not None:
            assert not group.populated, f"asked to remove {key}, which is populated"
            del self.groups[key]

    # -- what happens by itself --------------------------------------------------------------------

    def launched(self, key: Key, *, stubborn: bool = False) -> None:
        entry = self.entries[key[:2]]
        entry.state, entry.pid = "running", next(self._pids)
        group = self.groups[key]
        group.main, group.stubborn = entry.pid, stubborn
        self.news.append(News(key, "spawned", entry.held()))

    def launch_fails(self, key: Key) -> None:
        self._end(key, End(error="No such file or directory"))

    def dies(self, key: Key, end: End) -> None:
        """The worker; what it forked stays."""
        self.groups[key].main = None
        self._end(key, end)

    def says(self, key: Key, word: Word) -> None:
        """It waits in the socket, whoever lives or not to read it."""
        self.said.setdefault(key, []).append(word)
        if word.ready:
            self.ready.add(key)

    def drop_sockets(self) -> None:
        """An arbiter has died: of lives that are over nobody holds the socket any more."""
        for key in list(self.said):
            entry = self.entries[key[:2]]
            if entry.generation != key[2] or entry.state not in ("launching", "running"):
                del self.said[key]

    def forget(self, place: Place) -> None:
        """All of it but an answer under way."""
        del self.entries[place]
        self.ends.pop(place, None)
        self.news = [news for news in self.news if news.key[:2] != place or news.what == "refused"]
        self.told = [news for news in self.told if news.key[:2] != place]
        self.said = {key: words for key, words in self.said.items() if key[:2] != place}
        self.ready = {key for key in self.ready if key[:2] != place}

    def launching(self) -> list[Key]:
        return [(*place, e.generation) for place, e in self.entries.items() if e.state == "launching"]

    def living(self) -> list[Key]:
        """Those that something can happen to."""
        return [key for key, group in self.groups.items() if group.main is not None and not group.frozen]

    def _end(self, key: Key, end: End) -> None:
        entry = self.entries[key[:2]]
        entry.state, entry.pid, entry.end = "exited", None, end
        self.ends[key[:2]] = key[2], end
        self.news.append(News(key, "exited", entry.held(), end))

    def _current(self, key: Key) -> Entry | None:
        entry = self.entries.get(key[:2])
        return entry if entry is not None and entry.generation == key[2] else None
