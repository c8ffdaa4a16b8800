"""The keeper's last resort has an end, whoever of its workers may not be signalled."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from circus_cg.keeper import groups, stopping
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import Key
from circus_cg.keeper.stopping import KILL_LIMIT, LastResort

OURS, SOMEBODY_S = 71, 72  # workers; the second is of a user whom we may not signal
PATIENCE = 5.0


class Kernel:
    """Who was sent what; some may not be signalled, some are there no more."""

    def __init__(self, refuses: dict[int, type[OSError]]) -> None:
        self.sent: list[tuple[int, int]] = []
        self._refuses = refuses

    def kill(self, pid: int, signum: int) -> None:
        if pid in self._refuses:
            raise self._refuses[pid]
        self.sent.append((pid, signum))


def kernel(monkeypatch: pytest.MonkeyPatch, **refuses: Any) -> Kernel:
    made = Kernel({int(pid.lstrip("p")): error for pid, error in refuses.items()})
    monkeypatch.setattr(os, "kill", made.kill)
    monkeypatch.setattr(os, "killpg", lambda pid, signum: made.kill(-pid, signum))
    return made


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    for wid, pid in enumerate((SOMEBODY_S, OURS), 1):
        key = Key("w", wid, 1)
        made.spawn({"key": key, "stop": (signal.SIGTERM, PATIENCE), "v2": None, "v1": []})
        made.started(key, pid)
        made.running(key)
    return made


def test_a_worker_that_may_not_be_signalled_keeps_no_other_from_its_signals(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = kernel(monkeypatch, p72=PermissionError)
    stop = LastResort(ledger, 3, 100.0)
    assert seen.sent == [(OURS, signal.SIGTERM)]
    stop.hurry()
    stop.on_deadline(101.0)
    killed = [(-SOMEBODY_S, signal.SIGKILL), (OURS, signal.SIGKILL), (-OURS, signal.SIGKILL)]
    assert seen.sent[1:] == killed, "its process group may hold some of ours"


def test_a_worker_that_can_not_be_ended_is_left_behind_at_the_limit_and_named(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(stopping, "say", lambda _, text: said.append(text))
    kernel(monkeypatch, p72=PermissionError)
    stop = LastResort(ledger, 3, 100.0)
    ledger.exited(OURS, None, signal.SIGTERM, 101.0)
    stop.on_deadline(100.0 + PATIENCE)
    assert not stop.done
    stop.on_deadline(100.0 + PATIENCE + KILL_LIMIT)
    assert (stop.done, stop.status) == (True, 3)
    assert said == ["cannot end w.1: still there after SIGKILL"]


def test_a_group_s_members_are_killed_past_those_that_may_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A v1 group: there is no file to kill all of it by."""
    (tmp_path / "cgroup.procs").write_text("71\n72\n73\n74\n")
    seen = kernel(monkeypatch, p71=PermissionError, p73=ProcessLookupError)
    groups.kill({"v1": [str(tmp_path)]})
    assert seen.sent == [(72, signal.SIGKILL), (74, signal.SIGKILL)]
