"""What `run` hands to every arbiter of a daemon: the sealed, validated configuration and the facts of the host."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from circus_cg.cgroup.hierarchy import Layout
from circus_cg.errors import HostError
from circus_cg.host.identity import Identity
from circus_cg.keeper.link import PASSED_FD
from circus_cg.spec import ArbiterSpec, WatcherSpec

ARBITER_FD = 3  # the keeper's channel
LISTENER_FD = PASSED_FD + 2  # after the boot record and the image


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the configuration came from, and what the command line said instead of it."""

    path: str  # absolute
    name: str | None = None
    cgroup_root: str | None = None
    cwd: str | None = None  # of the daemon's start; None in a record of an earlier version


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at as root while the network was closed: the endpoint's own key, and its listening socket."""

    secret: bytes  # 32 of them
    keys: str  # directory
    listener: int = LISTENER_FD  # the keeper holds it too: who connects while an arbiter is replaced waits

    def __repr__(self) -> str:
        return f"Network(keys={self.keys!r}, listener={self.listener})"


class ArbiterBoot(msgspec.Struct, frozen=True, kw_only=True):
    spec: ArbiterSpec
    layout: Layout
    identities: dict[str, Identity]  # by watcher
    environment: dict[str, str]  # the daemon's own, for copy_env
    python_path: tuple[str, ...] = ()  # for copy_path
    oom_score_adj: int  # the daemon's own
    nofile: tuple[int, int]  # RLIMIT_NOFILE as the daemon was given it; workers get it back
    runtime: str | None  # directories; None: nothing of this arbiter lives on disk, as in the library
    state: str | None
    resealed: bool = False  # made while the daemon ran
    retired: tuple[WatcherSpec, ...] = ()  # of earlier configurations of this daemon, and not of this one
    sealed_at: float = 0.0  # wall clock; of two records of one daemon the later one holds
    source: Source | None = None  # None: there is no file to read again
    network: Network | None = None


class Reread(msgspec.Struct, kw_only=True):
    """A configuration read again. `wrong`: why it can't be used, then there is no record; `code` as errors have it."""

    record: ArbiterBoot | None = None
    warnings: list[str] = []
    wrong: str = ""
    code: str = ""


def encode(record: ArbiterBoot) -> bytes:
    """As read() takes it. Raises HostError for what is not UTF-8: JSON carries nothing else, and a worker must not be
    given something that only looks like it.
    """
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError as wrong:
        lines = [f"cannot use {what}: not UTF-8; {remedy}" for what, remedy in _not_utf8(record)]
        raise HostError("\n".join(lines)) from wrong


def _not_utf8(record: ArbiterBoot) -> list[tuple[str, str]]:
    """What it is, and what to do. Of a variable the name alone: its value may be a secret."""
    source = record.source or Source(path="")
    said: list[tuple[Any, str, str]] = [
        ((name, value), f"the environment variable {name!r}", "correct it, or unset it")
        for name, value in record.environment.items()
    ]
    said.append((source.path, f"the configuration {source.path!r}", "rename it, or what it is in"))
    said.append((source.cwd, f"the working directory {source.cwd!r}", "start the daemon in another one"))
    rest = [(getattr(record, field), f"the {field}", "rename what it names") for field in record.__struct_fields__]
    found = [(what, remedy) for value, what, remedy in said if not _is_utf8(value)]
    return found or [(what, remedy) for value, what, remedy in rest if not _is_utf8(value)]


def _is_utf8(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def read(fd: int) -> ArbiterBoot:
    return msgspec.json.decode(os.pread(fd, os.fstat(fd).st_size, 0), type=ArbiterBoot)
