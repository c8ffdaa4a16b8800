"""A file whose changes the kernel tells, by whatever way its path leads to it: inotify, nothing polls."""

from __future__ import annotations

import ctypes
import os
import struct
from errno import ENOENT, ENOTDIR
from pathlib import Path

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the name
OVERFLOW = -1  # as a wd: events were lost
MOST_LINKS = 40  # the kernel follows no more
AT_ONCE = 1 << 16  # bytes of events


class Watching:
    """`fileno()` is readable when something happened on the way to the file: ask `changed()`, then look.

    Each directory that the path goes through is watched, links' as well, for the name that is looked up in it: any of
    them may be put in another's place. The file too: it may have other names.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError where a change could be missed."""
        self._libc, self._path = ctypes.CDLL(None, use_errno=True), os.fsencode(Path(path).absolute())
        self._names: dict[int, set[bytes]] = {}  # watch -> what counts in there
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _failed(path)
        try:
            self._follow()
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return int(self._fd)

    def changed(self) -> bool:
        """Whether the file may be another than it was, or says something else. Raises OSError, as the start."""
        try:
            told = os.read(self._fd, AT_ONCE)
        except BlockingIOError:
            return False
        if not any(wd == OVERFLOW or self._counts(wd, name) for wd, name in _events(told)):
            return False
        self._follow()  # another directory may have taken one's place
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _counts(self, wd: int, name: bytes) -> bool:
        """A watched place's own changes come without a name."""
        names = self._names.get(wd)
        return names is not None and (not name or name in names)

    def _follow(self) -> None:
        """The path, as it leads now, to its end or to where it breaks off: there what is missing would come."""
        before, self._names = self._names, {}
        try:
            self._walk()
        finally:
            for wd in before.keys() - self._names.keys():
                self._libc.inotify_rm_watch(self._fd, wd)

    def _walk(self) -> None:
        place, left, links = b"/", self._path.split(b"/")[::-1], 0
        while left:
            name = left.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                place = os.path.dirname(place)  # right, for there are no links in it
                continue
            watched = self._watch(place, name)  # before the look: what happens after it is told
            here = os.path.join(place, name)
            target = _target(here)
            if not watched and (target is not None or not left or not os.path.lexists(here)):
                raise _failed(os.fsdecode(place))  # one that only leads to another may be unreadable, as /home may
            if target is None:
                place = here
                continue
            links += 1
            if links > MOST_LINKS:
                return
            place = b"/" if target.startswith(b"/") else place
            left += target.split(b"/")[::-1]
        self._watch(place, b"")

    def _watch(self, place: bytes, name: bytes) -> bool:
        """False: the kernel can't. A place that is not there is told of where it was looked up, should it come."""
        wd = self._libc.inotify_add_watch(self._fd, place, MASK)
        if wd >= 0:
            self._names.setdefault(wd, set()).add(name)
        return wd >= 0 or ctypes.get_errno() in (ENOENT, ENOTDIR)


def _events(told: bytes) -> list[tuple[int, bytes]]:
    """The watch, and the name in it."""
    found, at = [], 0
    while at < len(told):
        wd, _, _, length = EVENT.unpack_from(told, at)
        at += EVENT.size + length
        found.append((wd, told[at - length : at].rstrip(b"\0")))
    return found


def _target(path: bytes) -> bytes | None:
    """None: no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _failed(path: str) -> OSError:
    cause = ctypes.get_errno()
    return OSError(cause, os.strerror(cause), path)
