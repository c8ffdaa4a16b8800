"""Functional tests need root and a cgroup file system they may write to; elsewhere they are skipped, saying why."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.functional.daemon import Daemon
from tests.functional.groups import Place, at_roots
from tests.scratch_groups import PARENT, mounts

StartDaemon = Callable[..., Daemon]


@pytest.fixture(autouse=True, scope="session")
def _host_can_run_this() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("functional tests need root")
    if not any(os.access(mount, os.W_OK) for mount in mounts()):
        pytest.skip("functional tests need a writable cgroup file system below /sys/fs/cgroup")
    yield
    for mount in mounts():
        with suppress(OSError):  # somebody else's daemon lives there
            (mount / PARENT).rmdir()


@pytest.fixture
def daemon(tmp_path: Path, scratch_name: str) -> Iterator[StartDaemon]:
    """`daemon(watchers={...}, **top_level)` starts one that is stopped and checked when the test is over."""
    with ExitStack() as running:
        yield lambda **configuration: running.enter_context(Daemon(tmp_path, scratch_name, configuration))


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can enter: pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def place(scratch_name: str) -> Iterator[Place]:
    """A subtree for groups that no daemon made; killed and removed when the test is over."""
    with at_roots(scratch_name) as place:
        yield place
