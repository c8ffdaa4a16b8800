"""A file that holds the daemon's pid, for those who look for one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from circus_cg.errors import AlreadyRunning, HostError
from circus_cg.host.dirs import refuse_a_shared_directory


@contextmanager
def written(path: str | None, is_daemon: Callable[[int], bool]) -> Iterator[None]:
    """As write(); gone again if what follows fails. Without a path there is none."""
    if path is None:
        yield
        return
    write(Path(path), is_daemon)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


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
    refuse_a_shared_directory(path, "pidfile")
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
