"""The workers of one watcher, looked at every few seconds: what is known of each is kept for as long as it is true.

Hundreds of them are read between two sleeps, with cold caches, so a look touches as little as it can: the slot is only
compared with the one of the last look, the kernel's text with the last text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec.structs import replace

from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.cgroup.files import Open
from circus_cg.cgroup.usage import FIRST_LINE, Meter, cpu_seconds
from circus_cg.core.load import OwnLoad, WorkerSample
from circus_cg.core.memory import WorkerMemory
from circus_cg.core.slot import Phase, Slot

UNREAD = b""
OOM = ("oom", "oom-host")


class Look:
    """One slot, and its life's counters as they were last read."""

    __slots__ = (
        "counts",
        "cpu",
        "cpu_text",
        "is_measured",
        "memory",
        "memory_file",
        "memory_text",
        "meter",
        "sample",
        "slot",
    )

    def __init__(self, slot: Slot, meter: Meter | None) -> None:
        """`meter`: None where no process is."""
        self.slot, self.meter = slot, meter
        ready_at = slot.since if slot.phase is Phase.READY and not slot.readiness.unwell else None
        self.sample = WorkerSample(slot.wid, slot.generation, slot.phase, ready_at)
        self.memory = WorkerMemory(slot.wid, slot.generation, slot.phase, beside=slot.instead is not None)
        self.counts = slot.wanted and slot.instead is None  # else it is one more, until it takes another's place
        self.is_measured = meter is not None and slot.pid is not None
        self.cpu: Open | None = None
        self.memory_file: Open | None = None
        self.cpu_text = self.memory_text = UNREAD

    def follow(self, past: Look) -> None:
        """The same life in another state."""
        if self.meter is None or past.meter is not self.meter:
            return
        if self.is_measured:
            self.sample = replace(
                self.sample, cpu_seconds=past.sample.cpu_seconds, nr_throttled=past.sample.nr_throttled
            )
        self.memory = replace(self.memory, current=past.memory.current, full=past.memory.full, high=past.memory.high)
        self.cpu, self.cpu_text = past.cpu, past.cpu_text
        self.memory_file, self.memory_text = past.memory_file, past.memory_text


class Looks:
    def __init__(self, runner: WatcherRunner) -> None:
        self._runner = runner
        self._spec, self._group = runner.spec, runner.group
        self._of: dict[int, Look] = {}
        self.last_oom: float | None = None  # when one of the workers was OOM-killed, monotonic

    def work(self, again: bool, words: Mapping[int, OwnLoad]) -> tuple[WorkerSample, ...]:
        """Each slot that counts.

        `again`: read also what was read before; else only what was not. `words`: what the workers say of themselves.
        """
        has_quota = self._runner.spec.limits.cpu_max is not None
        found: list[WorkerSample] = []
        add, pread = found.append, os.pread
        for look in self._all():
            if not look.counts:
                continue
            sample = look.sample
            if look.is_measured and (again or sample.cpu_seconds is None):
                text = UNREAD
                if look.cpu is not None:
                    try:
                        text = pread(look.cpu.fd, FIRST_LINE, 0)
                    except OSError:
                        look.cpu = None  # removed, and perhaps there again one day
                if text == UNREAD or text != look.cpu_text:
                    sample = _read_work(look, text, has_quota)
            if words and (word := words.get(sample.wid)) is not None and word.generation == sample.generation:
                sample = replace(sample, busy=word.busy)
            add(sample)
        return tuple(found)

    def memory(self, again: bool) -> tuple[WorkerMemory, ...]:
        """Every life. `again`: read each; else nothing is known of them. The pressure where a memory_high gives it
        a meaning.
        """
        high = self._runner.spec.limits.memory_high
        found: list[WorkerMemory] = []
        add, pread = found.append, os.pread
        for look in self._all():
            if look.meter is None:
                continue
            if not again:
                if look.memory.current is not None:
                    look.memory = replace(look.memory, current=None, full=None)
                    look.memory_text = UNREAD
                add(look.memory)
                continue
            text = UNREAD
            if look.memory_file is not None:
                try:
                    text = pread(look.memory_file.fd, FIRST_LINE, 0)
                except OSError:
                    look.memory_file = None
            if text == UNREAD or text != look.memory_text or high is not None:
                _read_memory(look, text, high)
            add(look.memory)
        return tuple(found)

    def _all(self) -> list[Look]:
        runner, known = self._runner, self._of
        if runner.spec is not self._spec or runner.group is not self._group:
            self._spec, self._group = runner.spec, runner.group
            known.clear()  # other files may count, and other descriptors are open
        return [
            look if (look := known.get(wid)) is not None and look.slot is slot else self._look(slot, look)
            for wid, slot in runner.slots.items()
        ]

    def _look(self, slot: Slot, past: Look | None) -> Look:
        lives = slot.alive and slot.generation > 0
        look = Look(slot, self._runner.group_of(slot.wid, slot.generation).meter if lives else None)
        if past is not None:
            look.follow(past)
        end = slot.last_exit
        if end is not None and end.reason in OOM:
            self.last_oom = end.at if self.last_oom is None else max(self.last_oom, end.at)
        self._of[slot.wid] = look
        return look


def _read_work(look: Look, text: bytes, has_quota: bool) -> WorkerSample:
    """`text`: of look.cpu; UNREAD where that is not open. A quota's throttling is another file's on v1."""
    seconds, throttled = cpu_seconds(text), None
    if seconds is None and look.meter is not None:
        seconds, throttled = look.meter.work()
        if not has_quota:
            throttled, look.cpu = None, look.meter.cpu_file()
    one = look.sample
    look.cpu_text = text
    look.sample = WorkerSample(one.wid, one.generation, one.phase, one.ready_at, seconds, throttled)
    return look.sample


def _read_memory(look: Look, text: bytes, high: int | None) -> None:
    meter, one = look.meter, look.memory
    if meter is None:
        return
    if text == UNREAD:
        current, look.memory_file = meter.memory_current(), meter.memory_file()
    else:
        current = int(text)
    full = None if high is None else _full(meter.pressure("memory"))
    look.memory_text = text
    look.memory = WorkerMemory(one.wid, one.generation, one.phase, current, full, high, one.beside)


def _full(told: dict[str, dict[str, float]] | None) -> float | None:
    return None if told is None else told.get("full", {}).get("avg10")
