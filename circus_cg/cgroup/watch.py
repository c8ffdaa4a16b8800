"""What groups tell by themselves: that they became empty, that the OOM killer was there. Nothing polls.

v2 and hybrid: one inotify descriptor for all groups (cgroup.events, memory.events). Pure v1: a pidfd of a member
for emptiness; for OOM an eventfd registered with memory.oom_control (cgroup v1's memory.rst).
"""

from __future__ import annotations

import ctypes
import errno
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
OVERFLOW = -1  # the watch of the event that says that events were lost

Callback = Callable[[], None]


class EventHub:
    """`fileno()` is readable when `dispatch()` has callbacks to make. A callback means: look again."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._inotify < 0:
            cause = ctypes.get_errno()
            raise OSError(cause, f"cannot watch cgroups: {os.strerror(cause)}; raise fs.inotify.max_user_instances")
        self._epoll = select.epoll()
        self._epoll.register(self._inotify, select.EPOLLIN)
        self._handles = itertools.count(1)
        self._callbacks: dict[int, Callback] = {}  # by handle, as are the next three
        self._watches: dict[int, int] = {}  # inotify watch
        self._fds: dict[int, int] = {}  # eventfd, or the pidfd of a member
        self._members: dict[int, Callable[[], list[int]]] = {}  # whose members are watched by pidfd
        self._by_watch: dict[int, int] = {}  # inotify watch -> handle
        self._by_fd: dict[int, int] = {}  # eventfd or pidfd -> handle

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch_populated(self, group: WorkerGroup, callback: Callback) -> int:
        """A handle for `forget`. Look once after this: what happened before is not told. One watch a group."""
        handle = self._new(callback)
        if group.v2 is None or not self._add_inotify(handle, f"{group.v2}/cgroup.events"):
            self._members[handle] = group.members
            self._watch_a_member(handle)
        return handle

    def watch_oom(self, group: WorkerGroup, callback: Callback) -> int:
        """A handle for `forget`. Told when the group runs out of memory: v2 has counted it by then, v1 counts a kill a
        little later, so that the exit must be waited for. One watch a group.
        """
        handle = self._new(callback)
        for directory in group.directories:
            if files.exists(directory, "memory.events"):
                self._add_inotify(handle, f"{directory}/memory.events")
            elif files.exists(directory, "memory.oom_control"):
                self._add_eventfd(handle, directory)
        return handle

    def forget(self, handle: int) -> None:
        """No callback is made for it any more, not even for what has happened already."""
        self._callbacks.pop(handle, None)
        self._members.pop(handle, None)
        watch = self._watches.pop(handle, None)
        if watch is not None and self._by_watch.pop(watch, None) is not None:
            self._libc.inotify_rm_watch(self._inotify, watch)
        self._drop(handle)

    def dispatch(self) -> None:
        told: list[int] = []
        for fd, _ in self._epoll.poll(0):
            told += self._inotified() if fd == self._inotify else self._descriptor(fd)
        for handle in dict.fromkeys(told):
            callback = self._callbacks.get(handle)
            if callback is not None:  # else an earlier one of these callbacks forgot it
                callback()

    def close(self) -> None:
        for handle in list(self._callbacks):
            self.forget(handle)
        self._epoll.close()
        os.close(self._inotify)

    def _new(self, callback: Callback) -> int:
        handle = next(self._handles)
        self._callbacks[handle] = callback
        return handle

    def _add_inotify(self, handle: int, path: str) -> bool:
        """False: the host has no watch left (fs.inotify.max_user_watches). A group that is gone needs none."""
        watch = self._libc.inotify_add_watch(self._inotify, os.fsencode(path), IN_MODIFY | IN_DELETE_SELF)
        if watch < 0:
            return ctypes.get_errno() == errno.ENOENT
        self._watches[handle] = watch
        self._by_watch[watch] = handle
        return True

    def _add_eventfd(self, handle: int, directory: str) -> None:
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                files.write(directory, "cgroup.event_control", f"{fd} {control}")
            finally:
                os.close(control)
        except (OSError, CgroupError):  # the group is gone
            os.close(fd)
            return
        self._register(handle, fd)

    def _inotified(self) -> list[int]:
        found: list[int] = []
        with suppress(BlockingIOError):
            while data := os.read(self._inotify, 1 << 16):
                offset = 0
                while offset < len(data):
                    watch, mask, _, length = EVENT.unpack_from(data, offset)
                    offset += EVENT.size + length
                    if watch == OVERFLOW:
                        found += self._watches
                    elif mask & IN_IGNORED:  # the kernel forgot it with its file
                        found += [] if (handle := self._by_watch.pop(watch, None)) is None else [handle]
                    elif (handle := self._by_watch.get(watch)) is not None:
                        found.append(handle)
        return found

    def _descriptor(self, fd: int) -> list[int]:
        handle = self._by_fd.get(fd)
        if handle is None:
            return []
        if handle in self._members:
            return [] if self._watch_a_member(handle) else [handle]
        os.eventfd_read(fd)
        return [handle]

    def _watch_a_member(self, handle: int) -> bool:
        """Wait for one member, any: when it ends there is another one, or there is none: False."""
        self._drop(handle)
        while pids := self._members[handle]():
            for pid in pids:
                with suppress(ProcessLookupError):
                    self._register(handle, os.pidfd_open(pid))
                    return True
        return False  # read empty, not merely ended between the reading and the opening

    def _register(self, handle: int, fd: int) -> None:
        self._fds[handle] = fd
        self._by_fd[fd] = handle
        self._epoll.register(fd, select.EPOLLIN)

    def _drop(self, handle: int) -> None:
        fd = self._fds.pop(handle, None)
        if fd is not None:
            del self._by_fd[fd]
            self._epoll.unregister(fd)
            os.close(fd)
