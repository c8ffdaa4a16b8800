"""What groups tell by themselves: that they became empty, that the OOM killer was there. Nothing polls.

v2 and hybrid: one inotify descriptor for all groups (cgroup.events, memory.events). Pure v1: pidfds of the members
for emptiness; for OOM an eventfd registered with memory.oom_control (cgroup v1's memory.rst).
"""

from __future__ import annotations

import ctypes
import itertools
import os
import select
import struct
from collections.abc import Callable
from contextlib import suppress

from circus_cg.cgroup import files
from circus_cg.cgroup.group import WorkerGroup
from circus_cg.errors import CgroupError

IN_MODIFY, IN_DELETE_SELF, IN_IGNORED = 0x2, 0x400, 0x8000
EVENT = struct.Struct("iIII")

Callback = Callable[[], None]


class EventHub:
    """`fileno()` is readable when `dispatch()` has callbacks to make. A callback means: look again."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "cannot watch cgroups: inotify_init1 failed")
        self._epoll = select.epoll()
        self._epoll.register(self._inotify, select.EPOLLIN)
        self._handles = itertools.count(1)
        self._watches: dict[int, tuple[int, Callback]] = {}  # handle -> (inotify watch, callback)
        self._by_watch: dict[int, int] = {}  # inotify watch -> handle
        self._members: dict[int, tuple[WorkerGroup, Callback, list[int]]] = {}  # handle -> v1 group and its pidfds
        self._eventfds: dict[int, tuple[int, Callback]] = {}  # handle -> (eventfd, callback)
        self._by_fd: dict[int, int] = {}  # pidfd or eventfd -> handle

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch_populated(self, group: WorkerGroup, callback: Callback) -> int:
        """A handle for `forget`. Look once after this: what happened before is not told."""
        handle = next(self._handles)
        if group.v2 is not None:
            self._add_inotify(handle, f"{group.v2}/cgroup.events", callback)
        else:
            self._members[handle] = (group, callback, [])
            self._watch_members(handle)
        return handle

    def watch_oom(self, group: WorkerGroup, callback: Callback) -> int:
        """Told at each change of the group's OOM counters; a handle for `forget`."""
        handle = next(self._handles)
        for directory in group.directories:
            if files.exists(directory, "memory.events"):
                self._add_inotify(handle, f"{directory}/memory.events", callback)
            elif files.exists(directory, "memory.oom_control"):
                self._add_eventfd(handle, directory, callback)
        return handle

    def forget(self, handle: int) -> None:
        if handle in self._watches:
            watch, _ = self._watches.pop(handle)
            if self._by_watch.pop(watch, None) is not None:
                self._libc.inotify_rm_watch(self._inotify, watch)
        if handle in self._members:
            self._drop(self._members.pop(handle)[2])
        if handle in self._eventfds:
            self._drop([self._eventfds.pop(handle)[0]])

    def dispatch(self) -> None:
        called: list[Callback] = []
        for fd, _ in self._epoll.poll(0):
            called += self._inotified() if fd == self._inotify else self._descriptor(fd)
        for callback in called:
            callback()

    def close(self) -> None:
        for handle in [*self._watches, *self._members, *self._eventfds]:
            self.forget(handle)
        self._epoll.close()
        os.close(self._inotify)

    def _add_inotify(self, handle: int, path: str, callback: Callback) -> None:
        watch = self._libc.inotify_add_watch(self._inotify, path.encode(), IN_MODIFY | IN_DELETE_SELF)
        if watch >= 0:  # else the group is gone already: the look after this tells
            self._watches[handle] = (watch, callback)
            self._by_watch[watch] = handle

    def _add_eventfd(self, handle: int, directory: str, callback: Callback) -> None:
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                files.write(directory, "cgroup.event_control", f"{fd} {control}")
            finally:
                os.close(control)
        except (OSError, CgroupError):
            os.close(fd)
            return
        self._eventfds[handle] = (fd, callback)
        self._by_fd[fd] = handle
        self._epoll.register(fd, select.EPOLLIN)

    def _inotified(self) -> list[Callback]:
        found: list[Callback] = []
        with suppress(BlockingIOError):
            while data := os.read(self._inotify, 1 << 16):
                offset = 0
                while offset < len(data):
                    watch, mask, _, length = EVENT.unpack_from(data, offset)
                    offset += EVENT.size + length
                    handle = self._by_watch.get(watch)
                    if handle is not None:
                        found.append(self._watches[handle][1])
                        if mask & IN_IGNORED:  # the kernel forgot it with its file
                            del self._by_watch[watch]
        return found

    def _descriptor(self, fd: int) -> list[Callback]:
        handle = self._by_fd.get(fd)
        if handle is None:
            return []
        if handle in self._eventfds:
            os.eventfd_read(fd)
            return [self._eventfds[handle][1]]
        return self._watch_members(handle)

    def _watch_members(self, handle: int) -> list[Callback]:
        """v1: a member ended (or this is the first look); watch those that are left, or tell that none is."""
        group, callback, pidfds = self._members[handle]
        self._drop(pidfds)
        pidfds.clear()
        for directory in files.walk(group.v1[0]):
            for pid in files.members(directory):
                with suppress(ProcessLookupError):
                    pidfds.append(os.pidfd_open(pid))
        for fd in pidfds:
            self._by_fd[fd] = handle
            self._epoll.register(fd, select.EPOLLIN)
        return [] if pidfds else [callback]

    def _drop(self, fds: list[int]) -> None:
        for fd in fds:
            self._by_fd.pop(fd, None)
            self._epoll.unregister(fd)
            os.close(fd)
