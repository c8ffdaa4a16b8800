"""A directory whose files' changes the kernel tells: inotify, nothing polls."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE, IN_ATTRIB = 0x8, 0x40, 0x80, 0x200, 0x4
IN_DELETE_SELF, IN_MOVE_SELF = 0x400, 0x800
MASK = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF


class Watching:
    """`fileno()` is readable when something in the directory changed: `clear()`, then look."""

    def __init__(self, directory: str) -> None:
        """Raises OSError."""
        self._libc, self._directory = ctypes.CDLL(None, use_errno=True), os.fsencode(directory)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or not self._watch():
            cause = ctypes.get_errno()
            self.close()
            raise OSError(cause, os.strerror(cause), directory)

    def fileno(self) -> int:
        return int(self._fd)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._fd, 1 << 16):
                pass
        self._watch()  # another directory may have taken its place

    def _watch(self) -> bool:
        return bool(self._libc.inotify_add_watch(self._fd, self._directory, MASK) >= 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
