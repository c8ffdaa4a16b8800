"""The files of keys: read only if nobody else can have written them, replaced whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from circus_cg import xdg
from circus_cg.errors import CircusCgError
from circus_cg.rpc.keys import HEADER, KeyPair, key_name, read_pair, write_pair, write_public

SERVER = "server.key"
AUTHORIZED = "authorized"
MAX_SIZE = 1 << 20  # bytes


class KeyFileError(CircusCgError):
    """A file of keys is missing, not to be trusted, or no such file: as the message says."""

    code = "key-file"
    exit_status = 2


def server_keys() -> Path:
    """Where a daemon's keys are unless it is told otherwise: below /etc, or this user's own configuration."""
    return Path("/etc/circus-cg/keys") if os.geteuid() == 0 else client_directory() / "keys"


def client_directory() -> Path:
    """Where a user's own keys and hosts are."""
    return Path(xdg.directory(os.environ, "XDG_CONFIG_HOME", f"{Path.home()}/.config")) / "circus-cg"


def read_server(directory: Path) -> KeyPair:
    return read_key(directory / SERVER, f"make it: circus-cg keys --directory {directory} init")


def read_key(path: Path, remedy: str = "make it: circus-cg keys new NAME") -> KeyPair:
    """A key pair, whose file must be ours alone. Raises KeyFileError."""
    text = trusted_text(path, remedy, secret=True)
    try:
        return read_pair(text)
    except ValueError as wrong:
        raise KeyFileError(f"cannot use {path}: {wrong}; {remedy}") from wrong


def trusted_text(path: Path, remedy: str, *, secret: bool) -> str:
    """What stands in a file of this user's or root's that nobody else can write; `secret`: nor read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as failed:
        raise KeyFileError(f"cannot read {path}: {failed.strerror}; {remedy}") from failed
    try:
        found = os.fstat(fd)
        _check(path, found, secret)
        _check_directory(path)
        with open(fd, "rb", closefd=False) as file:
            raw = file.read(MAX_SIZE + 1)
    finally:
        os.close(fd)
    if len(raw) > MAX_SIZE:
        raise KeyFileError(f"cannot read {path}: over {MAX_SIZE} bytes; take out what is not needed")
    try:
        return raw.decode()
    except UnicodeDecodeError as wrong:
        raise KeyFileError(f"cannot read {path}: not UTF-8; {remedy}") from wrong


def make_server(directory: Path, pair: KeyPair) -> None:
    """A server's key and an empty list of who may come. Raises KeyFileError, also if there is a key already."""
    _make_directory(directory)
    with _locked(directory):
        _create(directory / SERVER, write_pair(pair), 0o600)
        with suppress(FileExistsError):
            _write_new(directory / AUTHORIZED, HEADER, 0o600)


def make_client(directory: Path, pair: KeyPair) -> Path:
    """NAME.key and NAME.pub; the path of the key. Raises KeyFileError if there is one of that name."""
    _make_directory(directory)
    path = directory / f"{key_name(pair.name)}.key"
    with _locked(directory):
        _create(path, write_pair(pair), 0o600)
        replace(path.with_suffix(".pub"), write_public(pair), 0o644)
    return path


def change_authorized(directory: Path, change: Callable[[str], str]) -> None:
    """Two who change at the same time wait for each other."""
    path = directory / AUTHORIZED
    remedy = f"make it: circus-cg keys --directory {directory} init"
    if not directory.is_dir():
        raise KeyFileError(f"cannot change {path}: no such directory; {remedy}")
    with _locked(directory):
        replace(path, change(trusted_text(path, remedy, secret=False)), 0o600)


def replace(path: Path, text: str, mode: int) -> None:
    """Whole, or as it was: whoever reads sees the one or the other."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    try:
        _write_new(fresh, text, mode)
        fresh.replace(path)
    except OSError as failed:
        fresh.unlink(missing_ok=True)
        raise KeyFileError(f"cannot write {path}: {failed.strerror}") from failed


def _check(path: Path, found: os.stat_result, secret: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileError(f"cannot use {path}: not a regular file; name one")
    if found.st_uid not in (0, os.geteuid()):
        raise KeyFileError(f"cannot trust {path}: user {found.st_uid} owns it; chown it to yourself")
    if found.st_mode & (0o077 if secret else 0o022):
        raise KeyFileError(f"cannot trust {path}: others can {'read' if secret else 'write'} it; chmod 600 {path}")


def _check_directory(path: Path) -> None:
    """Who can write there can replace the file."""
    for directory in {os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))}:
        found = os.stat(directory)
        if found.st_uid not in (0, os.geteuid()):
            raise KeyFileError(f"cannot trust {path}: user {found.st_uid} owns {directory}; chown it to yourself")
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            raise KeyFileError(f"cannot trust {path}: others can write {directory}; chmod go-w {directory}")


def _make_directory(directory: Path) -> None:
    try:
        directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as failed:
        raise KeyFileError(f"cannot make {directory}: {failed.strerror}") from failed
    _check_directory(directory / SERVER)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as failed:
        raise KeyFileError(f"cannot use {directory}: {failed.strerror}") from failed
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _create(path: Path, text: str, mode: int) -> None:
    try:
        _write_new(path, text, mode)
    except OSError as failed:
        if failed.errno == errno.EEXIST:
            raise KeyFileError(f"cannot make {path}: a key is never overwritten; move it away") from None
        raise KeyFileError(f"cannot make {path}: {failed.strerror}") from failed


def _write_new(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "w") as file:
        os.fchmod(fd, mode)  # whatever the umask is
        file.write(text)
        file.flush()
        os.fsync(fd)
