"""A trainer whose keeper was killed: what its error says to do does it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest

from circus_cg import Lost, get_trainer
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.cgroup.tree import Tree
from circus_cg.library.events import Listeners
from circus_cg.library.session import Session
from tests.conftest import SLOWNESS
from tests.functional.evidence import children_of
from tests.functional.library.conftest import trees

SLEEP = ["sleep", "1000"]
Hold = Callable[[type, str], None]


def keeper() -> int:
    return next(pid for pid, line in children_of(os.getpid()).items() if "embedded.py" in line)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """`hold(cls, method)`: that part of a lost session's clearing up lasts until somebody waits for the session."""
    waited_for = threading.Event()
    end = Session.end

    def ended(session: Session) -> None:
        waited_for.set()
        end(session)

    def hold(cls: type, name: str) -> None:
        method = getattr(cls, name)

        def late(self: object) -> None:
            assert waited_for.wait(10 * SLOWNESS), "nobody waited for the session"
            method(self)

        monkeypatch.setattr(cls, name, late)

    monkeypatch.setattr(Session, "end", ended)
    return hold


async def meet_the_loss(arbiter: Arbiter) -> None:
    """Before the loop hears of it."""
    gone = keeper()
    os.kill(gone, signal.SIGKILL)
    os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)
    arbiter.keeper.note([(None, "anything")])


async def wait_for_ever(_: Arbiter) -> None:
    await asyncio.Event().wait()


def test_a_start_right_after_the_loss_starts_new_workers(prefix: str, hold: Hold) -> None:
    trainer = get_trainer(SLEEP, 2, name=prefix).start()
    before = trainer.pids
    hold(Listeners, "end")
    os.kill(keeper(), signal.SIGKILL)
    with pytest.raises(Lost, match="call start"):
        trainer.wait()
    with trainer:
        assert len(trainer.pids) == 2 and not set(before) & set(trainer.pids)
    assert not trees(prefix)


def test_so_it_does_each_time(prefix: str) -> None:
    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        for _ in range(5):
            os.kill(keeper(), signal.SIGKILL)
            with pytest.raises(Lost):
                trainer.wait()
            trainer.start()
            assert len(trainer.pids) == 1
    assert not trees(prefix)


def test_it_runs_no_more_once_a_verb_has_met_the_loss(prefix: str) -> None:
    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        running: list[bool] = []
        asked = trainer._session().submit(meet_the_loss)
        asked.add_done_callback(lambda _: running.append(trainer.running))
        with pytest.raises(Lost):
            asked.result()
    assert running == [False]


def test_who_waits_hears_of_the_loss_though_somebody_else_starts_new_workers(prefix: str, hold: Hold) -> None:
    """As workers that were stopped he would take them for done."""
    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        waiting = trainer._session().submit(wait_for_ever)
        hold(Tree, "kill_stale")
        with pytest.raises(Lost):
            trainer._session().submit(meet_the_loss).result()
        trainer.start()
        assert isinstance(waiting.exception(), Lost)
