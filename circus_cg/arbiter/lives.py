"""The groups of one watcher's lives: opened once, watched while leftovers outlive their worker, removed at last."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.voices import Sender
from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.session import Session, life_of
from circus_cg.cgroup.watch import EventHub
from circus_cg.core import events as ev
from circus_cg.core.slot import Slot
from circus_cg.errors import CircusCgError
from circus_cg.host import processes
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Key, Message

REMOVE_SOON = 0.01  # seconds: the next life's clone and ours would wait for the same lock in the kernel
COUNTED, COUNT_AGAIN = 50, 0.02  # looks, and seconds between two
REMOVE_AGAIN = 0.2  # seconds; a group that was just emptied can refuse rmdir for an instant

Life = tuple[int, int]  # wid, generation


class Oom(NamedTuple):
    """What the OOM killer did in a group, if it did."""

    verdict: Literal["own", "host"] | None
    detail: str
    peak: int | None  # bytes of memory


NOT_KILLED = Oom(None, "", None)


class LifeGroups:
    def __init__(
        self, group: WatcherGroup, hub: EventHub, journal: Journal, emptied: Callable[[int, int], None]
    ) -> None:
        """`emptied` is called with wid and generation, once for each killed or watched group that holds nobody more."""
        self.group = group
        self._journal = journal
        self._ooms: dict[Life, Any] = {}
        self._hub, self._emptied = hub, emptied
        self._groups: dict[Life, WorkerGroup] = {}  # those not removed yet
        self._watches: dict[Life, Any] = {}
        self._going: dict[Life, asyncio.TimerHandle] = {}  # to be removed soon
        self._loop = asyncio.get_running_loop()

    def regroup(self, group: WatcherGroup, alive: Mapping[int, int]) -> None:
        """The watcher's group has other limits, and perhaps more directories, as have those of its lives.

        `alive`: wid -> generation of those that have begun.
        """
        if group is self.group:
            return
        self.group.close()
        self.group = group
        self._groups = {life: one.under(group) for life, one in self._groups.items()}
        if group.oom_group_is_ours:
            for wid, generation in alive.items():
                self.watch_oom(wid, generation)
        else:
            while self._ooms:
                self._hub.forget(self._ooms.popitem()[1])

    def of(self, wid: int, generation: int) -> WorkerGroup:
        group = self._groups.get((wid, generation))
        if group is None:
            group = self._groups[wid, generation] = life_of(self.group, wid, generation)
        return group

    def begun(self, wid: int, generation: int) -> WorkerGroup:
        """Its group, which is not to be removed any more: after a refusal a number can be used again."""
        going = self._going.pop((wid, generation), None)
        if going is not None:
            going.cancel()
        return self.of(wid, generation)

    def born(self, wid: int, generation: int, pid: int) -> None:
        """For where a life's session is all that there is of its group."""
        if isinstance(group := self.of(wid, generation), Session):
            group.leader = pid

    def kill(self, wid: int, generation: int) -> None:
        self.of(wid, generation).kill()
        self.watch(wid, generation)

    def signal_others(self, slot: Slot, signum: int) -> None:
        """Whoever is in the life's group beside its main process."""
        group = self.of(slot.wid, slot.generation)
        processes.send([pid for pid in group.members() if pid != slot.pid], signum, group.members)

    def freeze(self, wid: int, generation: int) -> bool:
        try:
            self.of(wid, generation).freeze()
        except (CircusCgError, OSError) as refused:
            say("arbiter", f"{self.group.name}.{wid}: {refused}")
            return False
        return True

    def ended(self, event_id: int, key: Key, message: Message) -> ev.Exited | ev.LaunchFailed:
        """The keeper's news of an end, with what the group knows of it; a group that holds others still is watched."""
        error, group = message["error"], self.of(key.wid, key.generation)
        populated = group.populated()
        if populated:
            self.watch(key.wid, key.generation)
        elif error is not None:
            return ev.LaunchFailed(event_id, key.generation, error["stage"], error["errno"], error["text"])
        killed = oom(group) if message["code"] != 0 else NOT_KILLED
        return ev.Exited(
            id=event_id, generation=key.generation, code=message["code"], signal=message["signal"],
            oom=killed.verdict, detail=killed.detail, populated=populated,
            peak=group.memory_peak() if killed.peak is None else killed.peak,
        )  # fmt: skip

    def admits(self, slot: Slot, sender: Sender, uid: int | None) -> bool:
        """Whether who sent something speaks for that life: its process, or another in its group. Of one that has ended
        by now, as systemd-notify has, the user must do: `uid`, or ours.
        """
        if sender.pid == slot.pid or sender.pid in self.of(slot.wid, slot.generation).members():
            return True
        user = os.geteuid() if uid is None else uid
        return sender.uid == user and sender.pid > 0 and processes.has_ended(sender.pid)

    def watch(self, wid: int, generation: int) -> None:
        """Tell when it is empty. Armed before the look, so that an end between the two is not missed."""
        if (wid, generation) not in self._watches:
            group = self.of(wid, generation)
            self._watches[wid, generation] = self._hub.watch_populated(group, partial(self.look, wid, generation))
        self._loop.call_soon(self.look, wid, generation)

    def watch_oom(self, wid: int, generation: int) -> None:
        """Where the kernel takes one process of a group that must go as a whole, the rest follows."""
        if self.group.oom_group_is_ours and (wid, generation) not in self._ooms:
            told = partial(self._after_oom, wid, generation, COUNTED)
            self._ooms[wid, generation] = self._hub.watch_oom(self.of(wid, generation), told)

    def _after_oom(self, wid: int, generation: int, tries: int) -> None:
        if (wid, generation) not in self._ooms:
            return
        group = self.of(wid, generation)
        if not group.oom_kills():
            if tries:  # v1 counts a kill a little after it tells of it
                self._loop.call_later(COUNT_AGAIN, self._after_oom, wid, generation, tries - 1)
            return
        self._hub.forget(self._ooms.pop((wid, generation)))
        if group.populated():
            self.kill(wid, generation)
            text = "one of its processes was OOM-killed: the whole group goes, as memory_oom_group says"
            self._journal.decide(self.group.name, wid, "kill", text, {"generation": generation})

    def look(self, wid: int, generation: int) -> None:
        if (wid, generation) in self._watches and not self.of(wid, generation).populated():
            self._emptied(wid, generation)

    def forget(self, wid: int, generation: int) -> None:
        """It is not watched any more."""
        handle = self._watches.pop((wid, generation), None)
        if handle is not None:
            self._hub.forget(handle)

    def remove_soon(self, wid: int, generation: int) -> None:
        """After what is urgent."""
        self.forget(wid, generation)
        self._going[wid, generation] = self._loop.call_later(REMOVE_SOON, self.remove, wid, generation)

    def remove_now(self, wid: int, generation: int) -> None:
        """It and what is left of those before it."""
        for due in [life for life in self._going if life[0] == wid]:
            self._going[due].cancel()
            self.remove(*due)
        self.remove(wid, generation)

    def remove(self, wid: int, generation: int, tries: int = 25) -> None:
        self.forget(wid, generation)
        self._going.pop((wid, generation), None)
        if (handle := self._ooms.pop((wid, generation), None)) is not None:
            self._hub.forget(handle)
        if self.of(wid, generation).remove():
            self._groups.pop((wid, generation), None)
        elif tries:
            again = self._loop.call_later(REMOVE_AGAIN, self.remove, wid, generation, tries - 1)
            self._going[wid, generation] = again

    def sweep(self, current: set[Life]) -> None:
        """Remove what is there of other lives than these."""
        for wid, generation in self.group.lives() - current:
            self.remove(wid, generation)

    def remove_all(self) -> bool:
        """At the end, the watcher's own group too. False: something is not empty yet."""
        self._keep_no_time()
        for group in self._groups.values():
            group.remove()
        self._groups.clear()
        return self.group.remove()

    def close(self) -> None:
        self._keep_no_time()
        for group in self._groups.values():
            group.close()
        self.group.close()

    def _keep_no_time(self) -> None:
        """Else a group of the next watcher of that name would go, whose lives begin at the same numbers."""
        for going in self._going.values():
            going.cancel()
        self._going.clear()


def oom(group: WorkerGroup) -> Oom:
    found = group.oom()
    if not found.kills:
        return NOT_KILLED
    limit = "none" if found.limit is None else str(found.limit)
    peak = "unknown" if found.peak is None else str(found.peak)
    detail = f"memory_max {limit}, peak {peak}"
    if found.left and found.peak is not None:
        left = ", ".join(f"{kind} {size}" for kind, size in found.left.items() if size) or "nothing"
        whole = sum(size for kind, size in found.left.items() if kind != "shmem")  # that is in file
        detail += f" ({max(0, found.peak - whole)} went with it; left behind: {left})"
    return Oom("own" if found.own_limit else "host", detail, found.peak)
