"""Where a daemon lives on disk: runtime and state directories, and the lock that makes its name unique."""

import fcntl
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from circus_cg import xdg
from circus_cg.errors import AlreadyRunning, HostError

FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid, as 64-bit Linux has it
SOCKET_PATH_MAX = 107  # bytes: sun_path less its NUL


class Dirs(NamedTuple):
    """`runtime` (0711) holds what lives, `state` (0700) what outlasts the process."""

    runtime: Path
    state: Path

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.runtime / 'control.sock'}"

    @property
    def keeper(self) -> Path:
        """Where root asks the keeper itself."""
        return self.runtime / "keeper.sock"

    @property
    def pubsub_endpoint(self) -> str:
        """For circus's clients."""
        return f"ipc://{self.runtime / 'pubsub.sock'}"


def of(name: str) -> Dirs:
    """Below CIRCUS_CG_RUNTIME_DIR and CIRCUS_CG_STATE_DIR; as root /run and /var/lib, else the user's own.

    Raises HostError where one of the two is a relative path.
    """
    if os.geteuid() == 0:
        runtime, state = "/run/circus-cg", "/var/lib/circus-cg"
    else:
        home = os.path.expanduser("~")
        theirs = xdg.directory(os.environ, "XDG_RUNTIME_DIR", f"/tmp/circus-cg-{os.geteuid()}")
        runtime = os.path.join(theirs, "circus-cg")
        state = os.path.join(xdg.directory(os.environ, "XDG_STATE_HOME", f"{home}/.local/state"), "circus-cg")
    runtime = _said("CIRCUS_CG_RUNTIME_DIR") or runtime
    state = _said("CIRCUS_CG_STATE_DIR") or state
    return Dirs(Path(runtime) / name, Path(state) / name)


def _said(variable: str) -> str:
    """Empty counts as unset. A relative path would be another place for whoever asks from another directory."""
    path = os.environ.get(variable, "")
    if path and not path.startswith("/"):
        raise HostError(f"cannot use {variable}={path!r}: not an absolute path; begin it with /, or unset it")
    return path


def make(dirs: Dirs) -> None:
    """Create both; refuse a directory that somebody else owns or can write, or put in another's place.

    Raises HostError.
    """
    length = len(os.fsencode(dirs.runtime / "control.sock"))
    if length > SOCKET_PATH_MAX:
        raise HostError(
            f"cannot use {dirs.runtime}: its socket's path would have {length} bytes, over {SOCKET_PATH_MAX};"
            " set CIRCUS_CG_RUNTIME_DIR to a shorter one, or choose a shorter --name"
        )
    for path, mode, variable in (
        (dirs.runtime, 0o711, "CIRCUS_CG_RUNTIME_DIR"),
        (dirs.state, 0o700, "CIRCUS_CG_STATE_DIR"),
    ):
        refuse_anothers(path)
        try:
            _make(path, mode, variable)
        except OSError as refused:  # read-only, below a file, in /proc
            cause = f"{refused.filename}: {refused.strerror}"
            raise HostError(f"cannot use {path}: {cause}; set {variable} to another directory") from refused


def _make(path: Path, mode: int, variable: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise HostError(f"cannot use {path}: not a directory of this user; remove it or set {variable}")
    path.chmod(mode)


def notify_directory(runtime: str) -> Path:
    """Where workers' notify sockets are, each for its own user alone."""
    made = Path(runtime) / "notify"
    with suppress(FileExistsError):
        made.mkdir(mode=0o711)
        made.chmod(0o711)  # whatever our mask is
    return made


def refuse_a_shared_directory(path: Path, what: str) -> None:
    """Where root's own `what` is to be written nobody else may put things. Raises HostError, OSError."""
    found = os.stat(path.parent)
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    if others or found.st_uid not in (0, os.geteuid()):
        raise HostError(f"cannot write the {what} {path}: others can write {path.parent}; name a directory of root's")


def refuse_anothers(path: Path) -> None:
    """Raises HostError where somebody else but root could put something of his own in the place of `path`.

    As root each place is one that root chose; below /tmp anybody may have been there first.
    """
    if os.geteuid() != 0 and (why := anothers(path, os.geteuid(), os.getegid())):
        raise HostError(f"cannot use {path}: {why}; set CIRCUS_CG_RUNTIME_DIR and CIRCUS_CG_STATE_DIR")


def anothers(path: Path, uid: int, gid: int) -> str | None:
    """Why it is not safe from others, for that user; of what is not there yet its nearest parent."""
    ways = {Path(os.path.abspath(path)), Path(os.path.realpath(path))}  # a link is as good as who may change it
    for place in sorted({one for way in ways for one in (way, *way.parents)}):
        try:
            found = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as refused:  # below what only others may enter
            return f"{place}: {refused.strerror}"
        if found.st_uid not in (0, uid):
            return f"{place} belongs to user {found.st_uid}"
        others = stat.S_IWOTH if found.st_gid in (0, gid) else stat.S_IWOTH | stat.S_IWGRP
        if stat.S_ISDIR(found.st_mode) and found.st_mode & others and not found.st_mode & stat.S_ISVTX:
            return f"others can write {place}"
    return None


def lock(dirs: Dirs, name: str) -> int:
    """Hold `name` as long as the returned descriptor is open (it survives exec). Raises AlreadyRunning, HostError.

    A lock of the open file description: others can ask about it without taking it (fcntl(2), F_OFD_GETLK).
    """
    path = dirs.runtime / "lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as refused:
        raise _refused("lock", path, refused) from refused
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))
    except BlockingIOError as held:
        os.close(fd)
        raise AlreadyRunning(
            f"cannot run {name!r}: another daemon of that name is running; stop it"
            f" (circus-cg ctl --name {name} quit) or choose another --name"
        ) from held
    except OSError as refused:  # a file system without locks
        os.close(fd)
        raise _refused("lock", path, refused) from refused
    return fd


def is_locked(dirs: Dirs) -> bool:
    """A daemon of this name lives (its arbiter may be between two lives). Raises PermissionError, HostError."""
    fd = _open_lock(dirs)
    if fd is None:
        return False
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    finally:
        os.close(fd)
    kind: int = FLOCK.unpack(found)[0]
    return kind != fcntl.F_UNLCK


def wait_unlocked(dirs: Dirs) -> None:
    """Return when no daemon holds this name: the kernel wakes us, nothing polls. Raises PermissionError, HostError."""
    fd = _open_lock(dirs)
    if fd is None:
        return
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock(fcntl.F_RDLCK))
    finally:
        os.close(fd)


def _open_lock(dirs: Dirs) -> int | None:
    """None: there is none, so nobody can hold it."""
    path = dirs.runtime / "lock"
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise
    except OSError as refused:
        raise _refused("look at", path, refused) from refused


def _refused(do: str, path: Path, cause: OSError) -> HostError:
    return HostError(f"cannot {do} {path}: {cause.strerror}; remove it, or set CIRCUS_CG_RUNTIME_DIR to another place")


def _flock(kind: int) -> bytes:
    """struct flock over the whole file."""
    return FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)
