"""A file that holds the daemon's pid, for those who look for one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from circus_cg.errors import AlreadyRunning, HostError


def write(path: Path, is_daemon: Callable[[int], bool]) -> None:
    """Ours, whole or not at all; a link that stands there is replaced, not followed. Raises HostError, AlreadyRunning.

    Who kills by it does so as root: nobody else may be able to exchange it.
    """
    try:
        _check(path, is_daemon)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            new.unlink()
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, f"{os.getpid()}\n".encode())
        finally:
            os.close(fd)
        os.replace(new, path)
    except OSError as refused:
        raise HostError(f"cannot write the pidfile {path}: {refused.strerror}; name another one") from refused


def _check(path: Path, is_daemon: Callable[[int], bool]) -> None:
    directory = os.stat(path.parent)
    others = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not directory.st_mode & stat.S_ISVTX
    if others or directory.st_uid not in (0, os.geteuid()):
        raise HostError(f"cannot write the pidfile {path}: others can write {path.parent}; name a directory of root's")
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            raise HostError(f"cannot write the pidfile {path}: a directory is there; name a file")
    pid = _pid_in(path)
    if pid is not None and pid != os.getpid() and is_daemon(pid):
        raise AlreadyRunning(f"cannot write the pidfile {path}: it is that of another daemon (pid {pid}); name another")


def _pid_in(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            text = file.read(32).strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
