"""A launcher built from the sources as they are, and groups that are removed again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from circus_cg.keeper import launch
from tests.conftest import until
from tests.scratch_groups import mounts

SOURCE = Path(launch.__file__).with_name("launcher.c")  # it comes with the package, wherever that is installed
MakeGroup = Callable[[Path], Path]


@pytest.fixture(scope="session")
def native_launcher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the program; no warning is allowed."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("launcher") / "launcher"
    flags = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(program), str(SOURCE)], check=True)
    return str(program)


@pytest.fixture
def make_group() -> Iterator[MakeGroup]:
    """`make_group(mount)`: a new group at the root of that hierarchy, the same name in each."""
    name, made = f"t-{secrets.token_hex(4)}", []

    def make(mount: Path) -> Path:
        group = mount / name
        group.mkdir()
        made.append(group)
        return group

    yield make
    for group in made:
        _remove(group)


@pytest.fixture
def v2_mount() -> Path:
    found = next((mount for mount in mounts() if (mount / "cgroup.controllers").exists()), None)
    if found is None:
        pytest.skip("no cgroup v2 hierarchy")
    return found


def _remove(group: Path) -> None:
    for file, thawed in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        if (group / file).exists():
            (group / file).write_text(thawed)

    def removed() -> bool:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    until(removed)
