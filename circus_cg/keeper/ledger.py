"""What the keeper holds: one entry a slot. Pure: no pid is signalled and no clock read here.

State of a slot: empty -> launching -> running -> exited -> (acknowledged) empty. The law is docs/explanation/keeper.md;
the simulation in tests/unit/keeper drives it with every interleaving of requests, launcher answers and deaths.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from circus_cg.keeper.messages import Key, Message, refused, spawned


class State(Enum):
    EMPTY = "empty"
    LAUNCHING = "launching"  # asked of the launcher; the exec is not known to have happened
    RUNNING = "running"
    EXITED = "exited"  # the arbiter has not acknowledged it yet


class Held:
    """One slot: the last life asked for and what became of it."""

    __slots__ = ("error", "generation", "note", "pending_exit", "pid", "record", "request", "slot", "state")

    def __init__(self, slot: tuple[str, int]) -> None:
        self.slot = slot
        self.generation = 0
        self.state = State.EMPTY
        self.pid: int | None = None
        self.note = ""
        self.record: Message | None = None  # the exit, kept until acknowledged
        self.error: Message | None = None  # why the exec failed
        self.pending_exit: tuple[int | None, int | None, float] | None = None  # seen before the launcher's verdict
        self.request: Message = {}  # what was asked: groups and stop rule serve the last-resort stop

    @property
    def key(self) -> Key:
        return Key(*self.slot, self.generation)

    def describe(self) -> Message:
        return {
            "slot": self.slot,
            "generation": self.generation,
            "state": self.state.value,
            "pid": self.pid,
            "note": self.note,
            "exit": self.record,
        }

    def save(self) -> Message:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "state": self.state.value}

    @classmethod
    def load(cls, saved: Message) -> "Held":
        """Fields that this version doesn't know are left out, those it misses are as in an empty slot."""
        watcher, wid = saved["slot"]
        held = cls((str(watcher), int(wid)))
        for name in cls.__slots__:
            if name in saved:
                setattr(held, name, saved[name])
        held.slot, held.state = (str(watcher), int(wid)), State(saved["state"])
        if held.pending_exit is not None:
            code, signum, at = held.pending_exit
            held.pending_exit = (code, signum, at)
        if held.request:
            signum, patience = held.request["stop"]
            held.request = {**held.request, "key": held.key, "stop": (int(signum), float(patience))}
        return held


class Ledger:
    """Every spawn is a compare-and-swap, every exit is kept until understood; so nothing is doubled or lost."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, int], Held] = {}
        self._by_pid: dict[int, Held] = {}

    def save(self) -> list[Message]:
        """All of it, as JSON can carry it to the next image of the keeper."""
        return [held.save() for held in self._slots.values()]

    @classmethod
    def load(cls, saved: list[Message]) -> "Ledger":
        """As it was when it was saved. Raises KeyError, TypeError, ValueError for what is no ledger."""
        ledger = cls()
        for one in saved:
            held = Held.load(one)
            ledger._slots[held.slot] = held
            if held.pid is not None and held.pending_exit is None:
                ledger._by_pid[held.pid] = held
        return ledger

    def spawn(self, request: Message) -> Message | None:
        """None: the life is now launching. Otherwise the refusal to send."""
        key = Key(*request["key"])
        held = self._slots.get(key.slot)
        if held is None:
            held = Held(key.slot)
        if held.state in (State.LAUNCHING, State.RUNNING):
            return refused(key, "occupied", generation=held.generation, pid=held.pid)
        if key.generation != held.generation + 1:
            return refused(key, "generation", generation=held.generation, pid=None)
        self._slots[key.slot] = held
        held.generation, held.state = key.generation, State.LAUNCHING
        held.record = held.error = held.pending_exit = None
        held.request = request
        held.note = request.get("note", held.note)
        return None

    def started(self, key: Key, pid: int) -> None:
        """The child exists; its exec is still to come."""
        held = self._current(key)
        if held is not None and held.state is State.LAUNCHING:
            held.pid = pid
            self._by_pid[pid] = held

    def running(self, key: Key) -> list[Message]:
        """The exec happened; an exit that overtook this news follows it."""
        held = self._current(key)
        if held is None or held.state is not State.LAUNCHING or held.pid is None:
            return []
        held.state = State.RUNNING
        return [spawned(key, held.pid), *self._settle(held)]

    def failed(self, key: Key, error: Message, at: float) -> list[Message]:
        """Set-up or exec failed. With a child, its exit ends the life; without one, this does."""
        held = self._current(key)
        if held is None or held.state is not State.LAUNCHING:
            return []
        held.error = error
        if held.pid is None:
            return [self._end(held, None, None, at)]
        held.state = State.RUNNING  # what is left to come is the exit
        return self._settle(held)

    def exited(self, pid: int, code: int | None, signum: int | None, at: float) -> list[Message]:
        """A reaped child; [] when it is not ours or its exec is not settled yet."""
        held = self._by_pid.pop(pid, None)
        if held is None:
            return []
        held.pending_exit = (code, signum, at)
        return self._settle(held) if held.state is State.RUNNING else []

    def ack(self, key: Key, note: str | None) -> None:
        held = self._current(key)
        if held is None:
            return
        if note is not None:
            held.note = note
        if held.state is State.EXITED:
            held.state, held.record, held.error = State.EMPTY, None, None

    def note(self, slot: tuple[str, int], note: str) -> None:
        self._slots.setdefault(slot, Held(slot)).note = note

    def forget(self, slot: tuple[str, int]) -> bool:
        """False when something is there that must not be forgotten."""
        held = self._slots.get(slot)
        if held is None:
            return True
        if held.state is not State.EMPTY:
            return False
        del self._slots[slot]
        return True

    def pid_of(self, key: Key) -> int | None:
        """The live pid of exactly this life; None once it was reaped."""
        held = self._current(key)
        return held.pid if held is not None and held.pid in self._by_pid else None

    def pids(self) -> list[int]:
        """Of the children not reaped yet."""
        return list(self._by_pid)

    def knows(self, pid: int) -> bool:
        return pid in self._by_pid

    def request_of(self, key: Key) -> Message | None:
        held = self._current(key)
        return held.request if held is not None else None

    def inventory(self) -> list[Message]:
        return [held.describe() for held in self._slots.values()]

    def all(self) -> list[Held]:
        return list(self._slots.values())

    def occupied(self) -> Iterator[Held]:
        """Slots with a process, or about to have one."""
        return (h for h in list(self._slots.values()) if h.state in (State.LAUNCHING, State.RUNNING))

    def _current(self, key: Key) -> Held | None:
        held = self._slots.get(key.slot)
        return held if held is not None and held.generation == key.generation else None

    def _settle(self, held: Held) -> list[Message]:
        if held.pending_exit is None:
            return []
        return [self._end(held, *held.pending_exit)]

    def _end(self, held: Held, code: int | None, signum: int | None, at: float) -> Message:
        record: dict[str, Any] = {"op": "exited", "key": held.key, "pid": held.pid, "code": code, "signal": signum}
        record |= {"at": at, "error": held.error}
        held.state, held.pid, held.pending_exit, held.record = State.EXITED, None, None, record
        return record
