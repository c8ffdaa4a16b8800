"""What stands in for a group where none can be made."""

from __future__ import annotations

import os
import subprocess
from signal import SIGKILL
from typing import Any, cast

import pytest

from circus_cg.cgroup.session import Session


class Known(Session):
    def __init__(self, pids: list[int]) -> None:
        super().__init__(cast("Any", None), "1.1")
        self.pids = pids

    def members(self) -> list[int]:
        return self.pids


def test_a_member_that_may_not_be_signalled_saves_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker's sudo is under a user's daemon; for root it is played."""
    kill = os.kill

    def refusing(pid: int, signum: int) -> None:
        if pid == 1:
            raise PermissionError
        kill(pid, signum)

    monkeypatch.setattr(os, "kill", refusing)
    with subprocess.Popen(["/bin/sleep", "1000"]) as child:
        Known([1, child.pid]).kill()
        assert child.wait(20) == -SIGKILL
