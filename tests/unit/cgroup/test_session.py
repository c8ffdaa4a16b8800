"""What stands in for a group where none can be made."""

from __future__ import annotations

import os
import subprocess
from signal import SIGKILL
from typing import Any, cast

import pytest

from circus_cg.cgroup import hierarchy
from circus_cg.cgroup.group import WatcherGroup
from circus_cg.cgroup.session import Session, life_of
from circus_cg.cgroup.tree import Tree
from circus_cg.spec import Limits


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


def test_it_is_still_a_session_and_whose_once_its_watcher_has_other_limits() -> None:
    tree = Tree(hierarchy.NONE, "t")
    watchers = [WatcherGroup(tree, "w", Limits(), Limits()) for _ in range(2)]
    life = life_of(watchers[0], 1, 1)
    assert isinstance(life, Session)
    with subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True) as child:
        try:
            life.leader = child.pid
            same = life.under(watchers[1])
            assert same.populated() and same.members() == [child.pid]
        finally:
            child.kill()
    assert not same.populated()
