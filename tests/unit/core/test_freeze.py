"""Stories of a slot that stands still; and what an exit tells."""

from __future__ import annotations

from math import inf
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from circus_cg.core import effects as do
from circus_cg.core import events as ev
from circus_cg.core.slot import Phase, Slot, step
from circus_cg.core.watcher import stilled
from circus_cg.spec import Backoff, Watchdog
from tests.unit.core.lives import Life


def ready(**spec: Any) -> Life:
    life = Life(**spec)
    life.start()
    life.spawned()
    return life


def frozen(**spec: Any) -> Life:
    life = ready(**spec)
    life.freeze()
    return life


def test_a_frozen_worker_stands_still_and_goes_on_when_it_is_thawed() -> None:
    life = ready()
    assert life.freeze() == (do.FreezeGroup(1, life.id),)
    assert life.slot.frozen and life.slot.phase is Phase.READY and life.published == ["frozen"]
    assert life.freeze() == ()
    assert life.thaw() == (do.ThawGroup(1, life.id),)
    assert not life.slot.frozen and life.published == ["thawed"]
    assert life.thaw() == ()


def test_a_life_that_is_being_launched_is_frozen_after_its_exec() -> None:
    life = Life()
    life.start()
    assert life.freeze() == ()
    assert life.spawned() == (do.FreezeGroup(1, life.id),)


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_a_stop_and_a_restart_thaw_first(command: str) -> None:
    life = frozen()
    assert getattr(life, command)() == (do.ThawGroup(1, life.id), do.Signal(1, SIGTERM, life.id))
    assert not life.slot.frozen


def test_no_life_begins_in_a_frozen_slot_and_the_delay_is_kept_for_the_thaw() -> None:
    life = frozen(backoff=Backoff(initial=4.0, jitter=0.0))
    assert life.exited(1) == (do.RemoveGroup(1, life.id),)
    assert life.slot.phase is Phase.BACKOFF and life.slot.deadline == inf
    life.now += 100
    life.thaw()
    assert life.slot.deadline == life.now + 4.0
    assert life.deadline() == (do.Spawn(2, life.id),)


def test_a_delay_stands_still_with_its_slot() -> None:
    life = ready(backoff=Backoff(initial=4.0, jitter=0.0))
    life.now += 0.1
    life.exited()
    life.now += 1.0
    life.freeze()
    life.now += 1000.0
    life.thaw()
    assert life.slot.deadline - life.now == pytest.approx(3.0)


def test_a_start_of_a_frozen_slot_that_waits_takes_effect_with_the_thaw() -> None:
    life = frozen(backoff=Backoff(initial=4.0, jitter=0.0))
    life.exited(1)
    assert life.start() == () and life.slot.frozen
    life.thaw()
    assert life.slot.deadline == life.now


@pytest.mark.parametrize("timeout", [None, 10.0])
def test_one_that_is_ready_has_no_time_that_could_be_left(timeout: float | None) -> None:
    life = frozen(watchdog=Watchdog(timeout=timeout))
    assert (life.slot.left, life.slot.deadline) == (0.0, inf)


def test_a_launch_that_is_to_be_frozen_and_then_is_not_goes_on_as_if_nothing_had_been() -> None:
    life = Life(ready="notify", start_timeout=90.0)
    life.start()
    deadline = life.slot.deadline
    life.freeze()
    life.now += 10
    assert (life.thaw(), life.published) == ((), [])
    assert (life.slot.frozen, life.slot.left, life.slot.deadline) == (False, 0.0, deadline)


def test_what_is_left_of_a_frozen_worker_is_not_thawed_for_its_own_sake() -> None:
    life = frozen()
    life.exited(1, populated=True)
    assert (life.thaw(), life.published, life.slot.frozen) == ((), [], False)


@pytest.mark.parametrize("ready", ["exec", "notify"])
def test_a_thaw_leaves_no_time_over(ready: str) -> None:
    life = frozen(ready=ready, start_timeout=90.0)
    life.thaw()
    assert (life.slot.frozen, life.slot.left) == (False, 0.0)


def test_a_delay_that_is_over_when_its_slot_is_frozen_is_over_at_the_thaw() -> None:
    life = ready(backoff=Backoff(initial=4.0, jitter=0.0))
    life.exited()
    life.now += 100
    life.freeze()
    assert life.slot.left == 0.0
    life.thaw()
    assert (life.slot.left, life.slot.deadline) == (0.0, life.now)


def test_what_is_on_its_way_out_or_at_rest_is_not_frozen() -> None:
    life = ready()
    life.stop()
    assert life.freeze() == () and not life.slot.frozen
    life.exited(0)
    assert life.freeze() == () and not life.slot.frozen


def test_a_new_arbiter_freezes_and_thaws_what_the_dead_one_was_told_to() -> None:
    slots = {
        1: Slot(wid=1, generation=3, phase=Phase.READY),
        2: Slot(wid=2, generation=1, phase=Phase.READY, frozen=True),
        3: Slot(wid=3, generation=5, phase=Phase.READY),
        4: Slot(wid=4, generation=1, phase=Phase.READY, frozen=True),
    }
    assert stilled({1: 3, 3: 4, 4: 1, 9: 1}, slots) == ((1, ev.Freeze), (2, ev.Thaw))


def test_an_exit_is_told_with_its_life_its_pid_and_all_that_is_known_of_it() -> None:
    life = ready()
    life.now += 2.0
    event = ev.Exited(99, 1, None, SIGKILL, "own", "memory_max 64, peak 60", populated=False, peak=60)
    slot, effects = step(life.spec, life.slot, event, life.now, 0.0)
    (news,) = (one for one in effects if isinstance(one, do.Publish) and one.kind == "exit")
    assert (news.generation, news.pid) == (1, 7)
    assert news.exit is not None and news.exit == slot.last_exit
    assert (news.exit.signal, news.exit.reason, news.exit.peak, news.exit.uptime) == (SIGKILL, "oom", 60, 2.0)
