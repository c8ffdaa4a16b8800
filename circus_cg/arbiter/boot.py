"""What `run` hands to every arbiter of a daemon: the sealed, validated configuration and the facts of the host."""

from __future__ import annotations

import os

import msgspec

from circus_cg.cgroup.hierarchy import Layout
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


def read(fd: int) -> ArbiterBoot:
    return msgspec.json.decode(os.pread(fd, os.fstat(fd).st_size, 0), type=ArbiterBoot)
