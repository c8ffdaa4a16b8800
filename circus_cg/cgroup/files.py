"""Read and write one file of cgroupfs, and nothing above it. Errors name the file and what was written."""

from __future__ import annotations

import os
import resource

from circus_cg.errors import CgroupError

SIZE = 1 << 13  # no file that we read is longer
CLOSED = -1


def read(directory: str, name: str) -> str:
    path = f"{directory}/{name}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 1 << 16).decode()
        finally:
            os.close(fd)
    except OSError as cause:
        raise CgroupError("read", path, cause) from cause


def write(directory: str, name: str, text: str) -> None:
    path = f"{directory}/{name}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as cause:
        raise CgroupError(f"write {text!r} to", path, cause) from cause


def exists(directory: str, name: str) -> bool:
    return os.path.exists(f"{directory}/{name}")


def make(directory: str) -> None:
    """Idempotent: a group that is there already is as good."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return
    except OSError as cause:
        raise CgroupError("make", directory, cause) from cause


def remove(directory: str) -> bool:
    """False: something is in it still. A group that is gone is as good as removed."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_tree(directory: str) -> bool:
    """The group and those a worker made below it, deepest first."""
    for path in reversed(walk(directory)):
        remove(path)
    return not os.path.isdir(directory)


def walk(directory: str) -> list[str]:
    """The group and all below it, parents first; groups that vanish meanwhile are left out."""
    found: list[str] = []
    todo = [directory]
    while todo:
        path = todo.pop()
        if os.path.isdir(path):
            todo += children(path)
            found.append(path)
    return found


def children(directory: str) -> list[str]:
    """The groups right below; [] when it is gone. A group's link count spares the search where there are none."""
    try:
        if os.stat(directory).st_nlink == 2:
            return []
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def members(directory: str) -> list[int]:
    """The pids of one group (not of those below it); [] when it is gone.

    Members of a foreign pid namespace, which the kernel lists as 0, are left out: signalling 0 would hit ourselves.
    """
    try:
        with open(f"{directory}/cgroup.procs") as procs:
            return [pid for pid in map(int, procs) if pid]
    except OSError:
        return []


def occupied(directory: str) -> bool:
    """Some process is in this very group, whether we can name it or not."""
    try:
        return bool(read(directory, "cgroup.procs"))
    except CgroupError:
        return False


class Open:
    """A kept file."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd  # CLOSED as soon as it is not kept any more: whoever still looks must not read another file


class Kept:
    """Descriptors of one group's files, opened at the first read and kept: 2 us a read instead of 11 (measured).

    All groups together keep at most half of the descriptors that this process may open, so that looking at many
    groups never costs it a connection or a spawn; beyond that each read opens and closes.
    """

    _held = 0  # by all groups

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._open: dict[str, Open] = {}

    def read(self, name: str) -> str | None:
        """None where the kernel has no such file, or the group is gone."""
        there = self._open.get(name)
        try:
            if there is not None:
                return os.pread(there.fd, SIZE, 0).decode()
            fd = os.open(f"{self.directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        if Kept._held < resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            Kept._held += 1
            self._open[name] = Open(fd)
            return self.read(name)
        try:
            return os.pread(fd, SIZE, 0).decode()
        except OSError:
            return None
        finally:
            os.close(fd)

    def opened(self, name: str) -> Open | None:
        """For who looks at hundreds of groups every few seconds. None where nothing is kept: then there is read()."""
        if name not in self._open:
            self.read(name)
        return self._open.get(name)

    def close(self) -> None:
        for there in self._open.values():
            os.close(there.fd)
            there.fd = CLOSED
        Kept._held -= len(self._open)
        self._open.clear()
