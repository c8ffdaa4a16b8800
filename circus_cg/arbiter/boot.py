"""What `run` hands to every arbiter of a daemon: the sealed, validated configuration and the facts of the host."""

from __future__ import annotations

import os

import msgspec

from circus_cg.cgroup.hierarchy import Layout
from circus_cg.host.identity import Identity
from circus_cg.spec import ArbiterSpec

ARBITER_FD = 3  # the keeper's channel


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


def read(fd: int) -> ArbiterBoot:
    return msgspec.json.decode(os.pread(fd, os.fstat(fd).st_size, 0), type=ArbiterBoot)
