"""Reads configuration files as root may: only what nobody else can have written."""

from __future__ import annotations

import glob
import os
import resource
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from circus_cg.config import circus_ini, native, validate
from circus_cg.config.findings import Findings, Kind, Notice, Place
from circus_cg.config.ini_surroundings import Surroundings
from circus_cg.config.ini_text import MAX_KEYS, Document
from circus_cg.config.nodes import TooLarge
from circus_cg.config.problems import shown
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec

MAX_SIZE = 16 << 20  # bytes, of circus.ini with all that it includes
MAX_INCLUDES = 1000
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that can be used, and what is to be said about it all the same."""

    spec: ArbiterSpec
    notices: tuple[Notice, ...] = ()


def load(path: Path) -> ArbiterSpec:
    """The validated configuration in the file `path`. Raises ConfigError."""
    return load_with_notices(path).spec


def load_with_notices(path: Path) -> Loaded:
    """As load(). A file that ends in .ini is circus's, any other is YAML. Raises ConfigError."""
    if path.suffix == ".ini":
        return load_ini(path, os.environ)
    return Loaded(spec=native.read(_text(path), str(path)))


def load_ini(path: Path, environ: Mapping[str, str]) -> Loaded:
    """circus.ini, whatever its name: first the main file, then what it includes, which includes no more.

    Raises ConfigError.
    """
    findings = Findings()
    document = Document(findings)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    here = Surroundings(environ, _directory(), None if hard == resource.RLIM_INFINITY else hard)
    try:
        text = _text(path)
        document.add(text, str(path))
        left = MAX_SIZE - len(text)
        for file, place in _included(path, circus_ini.includes(document, here), findings):
            try:
                text = _text(file)
            except ConfigError as wrong:
                findings.problem(place, f"cannot include: {wrong}")
                continue
            left -= len(text)
            if left < 0:
                raise TooLarge
            document.add(text, str(file))
        return Loaded(spec=circus_ini.read(document, str(path), here, findings), notices=findings.notices)
    except TooLarge:
        cause = f"over {MAX_SIZE} bytes, {MAX_INCLUDES} files or {MAX_KEYS} keys, those it stands for included"
        raise ConfigError([f"{path}: cannot read: {cause}; split it"]) from None


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # removed while we are in it
        return "/"


def _included(path: Path, globs: list[tuple[str, Place]], findings: Findings) -> list[tuple[Path, Place]]:
    """Relative to the main file's directory; those of one glob by their names."""
    found: dict[Path, Place] = {}
    for pattern, place in globs:
        whole = os.path.join(os.path.dirname(path), pattern)
        files = sorted(glob.glob(whole)) if "\0" not in whole else []
        if not files:
            findings.notice(
                Kind.NOTE, place, f"'{shown(pattern)}' includes no file; it is looked for from {path.parent}"
            )
        for file in files:
            found.setdefault(Path(file), place)
        if len(found) > MAX_INCLUDES:
            raise TooLarge
    return list(found.items())


def _text(path: Path) -> str:
    """What stands in a file that can be trusted. Raises ConfigError."""
    file = str(path)
    try:
        _check_directories(path)
        raw = _read(path)
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the path
        cause = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise ConfigError([f"{file}: cannot read: {cause}"]) from wrong
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        byte = f"0x{raw[wrong.start]:02x}"
        raise ConfigError([f"{file}:{line}: the byte {byte} is no UTF-8; save the file as UTF-8"]) from wrong


def override(spec: ArbiterSpec, *, name: str | None, cgroup_root: str | None) -> ArbiterSpec:
    """`spec` with what the command line says instead; None says nothing. Raises ConfigError."""
    said = {"name": name, "cgroup_root": cgroup_root}
    changes = {key: value for key, value in said.items() if value is not None}
    changed = replace(spec, **changes)
    found = [problem for problem in validate.problems(changed) if problem.path[0] in changes]
    if found:
        raise ConfigError([f"--{one.path[0].replace('_', '-')}: {one.text}" for one in found])
    return changed


def _read(path: Path) -> bytes:
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
            raw = file.read(MAX_SIZE + 1)
    finally:
        os.close(fd)
    if len(raw) > MAX_SIZE:
        raise ConfigError([f"{path}: cannot read: over {MAX_SIZE} bytes; split it"])
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
