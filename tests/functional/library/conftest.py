"""A program that uses the library, as a user would write it: a script in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.evidence import quoted, sh
from tests.scratch_groups import PARENT, mounts, sweep

Program = Callable[[str], subprocess.Popen[str]]


def trees(prefix: str) -> list[str]:
    """Names of the arbiters in the cgroup file systems that begin so."""
    found = {path.name for mount in mounts() for path in (mount / PARENT).glob(f"{prefix}-*")}
    return sorted(found)


@pytest.fixture
def prefix(scratch_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The beginning of the names of a test's arbiters; the test fails if one outlives it."""
    monkeypatch.setenv("CIRCUS_CG_ROOT", "/")
    yield scratch_name
    left = trees(scratch_name)
    for name in left:
        sweep(name)
    assert not left, f"the test left cgroups behind: {left}"


@pytest.fixture
def program(tmp_path: Path, prefix: str) -> Iterator[Program]:
    """`program(text)` starts a script that may use PREFIX, CMD (a worker that notes its pid) and noted(N) (waits for N
    such notes).
    """
    running: list[subprocess.Popen[str]] = []
    pids = tmp_path / "pids"
    pids.touch()
    head = (
        f"PREFIX = {prefix!r}\nCMD = {sh(f'echo $$ >>{quoted(pids)}; exec sleep 1000')!r}\n"
        "def noted(count):\n"
        "    import time\n"
        f"    while len(open({str(pids)!r}).read().split()) < count: time.sleep(0.01)\n"
    )

    def start(text: str) -> subprocess.Popen[str]:
        script = tmp_path / f"script{len(running)}.py"
        script.write_text(head + text)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def noted(tmp_path: Path) -> Callable[[], list[int]]:
    """The pids of all workers that ever noted theirs."""
    path = tmp_path / "pids"
    return lambda: [int(line) for line in path.read_text().split()] if path.exists() else []
