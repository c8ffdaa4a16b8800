"""What is refused before a daemon takes its place on the host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from circus_cg.arbiter.ground import refuse_a_keeper
from circus_cg.errors import AlreadyRunning


@pytest.fixture
def keeper() -> Iterator[int]:
    """The pid of a process with a keeper's command line."""
    words = [sys.executable, "-S", "-c", "input('begun\\n')", "circus_cg.keeper.main"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()  # until here its command line may be that of nobody
        yield process.pid


def test_a_keeper_among_those_who_live_in_the_groups_is_refused_with_what_to_do(keeper: int) -> None:
    with pytest.raises(AlreadyRunning, match=rf"'shop'.*\(pid {keeper}\).*stop that one \(kill {keeper}\)"):
        refuse_a_keeper("shop", [os.getpid(), keeper])


def test_what_a_killed_keeper_left_is_not() -> None:
    refuse_a_keeper("shop", [os.getpid()])
