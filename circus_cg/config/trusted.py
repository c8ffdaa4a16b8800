"""Reads files that root acts upon: only what nobody else can have written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from circus_cg.errors import ConfigError

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def text(path: Path, limit: int) -> str:
    """What stands in a file that can be trusted, of at most `limit` bytes. Raises ConfigError."""
    file = str(path)
    try:
        _check_directories(path)
        raw = _read(path, limit)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the path
        cause = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise ConfigError([f"{file}: cannot read: {cause}"]) from wrong
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        byte = f"0x{raw[wrong.start]:02x}"
        raise ConfigError([f"{file}:{line}: the byte {byte} is no UTF-8; save the file as UTF-8"]) from wrong


def _read(path: Path, limit: int) -> bytes:
    """Opened once; what is checked is what is read. NONBLOCK: a FIFO must not hold us up."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError([f"{path}: cannot read: not a regular file; name one"])
        _check_owner(str(path), str(path), found)
        if found.st_mode & _OTHERS:
            raise ConfigError([f"{path}: cannot trust it: writable by others; chmod go-w {path}"])
        with open(fd, "rb", closefd=False) as file:
            raw = file.read(limit + 1)
    finally:
        os.close(fd)
    if len(raw) > limit:
        raise ConfigError([f"{path}: cannot read: over {limit} bytes; split it"])
    return raw


def _check_directories(path: Path) -> None:
    """The directory of the file, and that of the link that leads to it: who can write there can replace it."""
    for directory in {os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))}:
        found = os.stat(directory)
        _check_owner(str(path), directory, found)
        if found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX:
            raise ConfigError([f"{path}: cannot trust it: {directory} is writable by others; chmod go-w {directory}"])


def _check_owner(file: str, path: str, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigError([f"{file}: cannot trust it: user {found.st_uid} owns {path}; chown root {path}"])
