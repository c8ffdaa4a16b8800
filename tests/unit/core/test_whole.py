"""A slot after one event, whole: nothing of what was before is left over, and nothing that counts is lost."""

from math import inf
from signal import SIGINT, SIGTERM
from typing import Any

import pytest

from circus_cg.core.effects import KillGroup, RemoveGroup, Signal, Spawn
from circus_cg.core.events import Stop
from circus_cg.core.slot import Exit, Held, Phase, Slot, rebuild
from circus_cg.core.state import Ending, Instead, Readiness
from circus_cg.spec import Backoff, Flapping, StopStep, Watchdog
from tests.unit.core.lives import Life

LAST = Exit(1, None, "exited", "", 0.3, 50.0)
RECORD: dict[str, Any] = {
    "restarts": 4,
    "delay": 2.0,
    "exits": (90.0,),
    "retries": 1,
    "exec_failures": 2,
}  # of earlier lives
FOR_OTHER = Instead(wid=7, generation=3, reason="memory", detail="")


def worn(phase: Phase, **more: Any) -> Life:
    """A slot whose last life left a trace in every field."""
    life = Life(draw=0.25)
    fields: dict[str, Any] = {"wanted": True, "deadline": 99.0, "pid": 7, "since": 60.0, "started": 61.0, "cause": 0}
    marks: dict[str, Any] = {
        "asked": True,
        "signalled": True,
        "stage": 2,
        "kills": 3,
        "stuck": True,
        "frozen": True,
        "left": 4.0,
    }
    words: dict[str, Any] = {
        "ending": Ending("health", "bad"),
        "readiness": Readiness(awaited=True, status="busy"),
        "luck": 0.9,
    }
    known: dict[str, Any] = {"wid": 1, "phase": phase, "generation": 3, "last_exit": LAST, "born": "x"}
    life.slot = Slot(**(known | fields | marks | words | RECORD | more))
    return life


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.FAILED, Phase.DONE])
@pytest.mark.parametrize("wish", ["start", "restart"])
def test_a_life_that_is_asked_for_has_nothing_of_those_before(phase: Phase, wish: str) -> None:
    life = worn(phase, wanted=phase is not Phase.IDLE)
    assert getattr(life, wish)() == (Spawn(4, cause=life.id),)
    assert life.slot == Slot(
        wid=1,
        wanted=True,
        phase=Phase.STARTING,
        generation=4,
        alive=True,
        since=100.0,
        restarts=4,
        last_exit=LAST,
        cause=life.id,
        luck=0.25,
        born="x",
    )


def test_a_life_that_nobody_asked_for_knows_the_record_of_those_before() -> None:
    life = worn(Phase.BACKOFF)
    assert life.deadline() == (Spawn(4, cause=life.id),)
    assert life.slot == Slot(
        wid=1,
        wanted=True,
        phase=Phase.STARTING,
        generation=4,
        alive=True,
        since=100.0,
        last_exit=LAST,
        cause=life.id,
        luck=0.25,
        born="x",
        **(RECORD | {"restarts": 5}),
    )


@pytest.mark.parametrize("phase", [Phase.BACKOFF, Phase.FAILED, Phase.DONE])
def test_a_stop_of_what_waits_leaves_nothing_to_wait_for(phase: Phase) -> None:
    life = worn(phase, instead=FOR_OTHER)
    assert life.stop() == ()
    slot = life.slot
    assert (slot.phase, slot.wanted, slot.deadline, slot.frozen, slot.left) == (Phase.IDLE, False, inf, False, 0.0)
    assert slot.instead is None


@pytest.mark.parametrize("ready", ["exec", "notify"])
@pytest.mark.parametrize(("restart", "phase"), [("never", Phase.DONE), ("always", Phase.FAILED)])
def test_a_frozen_slot_that_gives_up_stands_still_no_more(restart: str, phase: Phase, ready: str) -> None:
    life = Life(ready=ready, restart=restart, flapping=Flapping(attempts=1, max_retry=0))
    life.start()
    life.spawned()
    life.freeze()
    life.exited(1)
    assert (life.slot.phase, life.slot.deadline, life.slot.frozen, life.slot.left) == (phase, inf, False, 0.0)


def test_a_launch_that_failed_leaves_no_process() -> None:
    life = Life()
    life.start()
    life.spawned()
    life.launch_failed()
    assert (life.slot.pid, life.slot.alive, life.slot.exec_failures) == (None, False, 1)
    assert life.slot.last_exit == Exit(None, None, "exec", "exec: No such file or directory", 0.0, life.now)


def test_what_is_so_already_is_not_asked_for_again() -> None:
    life = Life()
    assert (life.stop(), life.slot) == ((), Slot(wid=1))
    life.start()
    starting = life.slot
    assert life.start() == ()
    assert life.slot is starting
    life.spawned()
    ready = life.slot
    assert life.start() == ()
    assert life.slot is ready
    life.restart()
    stopping = life.slot
    assert life.start() == ()
    assert life.slot is stopping


def test_a_second_start_of_a_frozen_slot_that_waits_changes_nothing_more() -> None:
    life = worn(Phase.BACKOFF)
    life.start()
    before = life.slot
    assert (life.start(), before.left) == ((), 0.0)
    assert life.slot is before


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.FAILED, Phase.DONE])
def test_a_slot_at_rest_that_is_woken_wants_to_be_woken_no_more(phase: Phase) -> None:
    life = worn(phase)
    assert life.deadline() == ()
    assert (life.slot.phase, life.slot.deadline) == (phase, inf)


@pytest.mark.parametrize("wish", ["stop", "restart"])
def test_a_wish_while_leftovers_are_killed_makes_the_end_an_asked_one_and_thaws(wish: str) -> None:
    life = Life()
    life.start()
    life.spawned()
    life.freeze()
    life.exited(1, populated=True)
    assert life.slot.frozen
    assert getattr(life, wish)() == ()
    assert (life.slot.phase, life.slot.asked, life.slot.frozen) == (Phase.STOPPING, True, False)
    life.start()
    assert life.emptied() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))


def test_crashes_in_a_row_wait_longer_and_longer_though_each_life_was_spawned() -> None:
    life = Life(backoff=Backoff(initial=0.5, jitter=0.0), flapping=Flapping(attempts=0))
    life.start()
    waits = []
    for _ in range(4):
        life.lives(0.1)
        waits.append(life.slot.deadline - life.now)
        life.deadline()
    assert waits == pytest.approx([0.5, 1.0, 2.0, 4.0])


def test_the_delays_of_failed_execs_are_not_the_workers() -> None:
    life = Life(backoff=Backoff(initial=0.5, jitter=0.0), flapping=Flapping(attempts=0))
    life.start()
    for _ in range(3):
        life.launch_failed()
        life.deadline()
    life.lives(0.1)
    assert life.slot.deadline - life.now == pytest.approx(0.5)


def test_the_delay_of_a_first_failed_exec_is_not_the_workers_either() -> None:
    life = Life(backoff=Backoff(initial=0.5, jitter=0.0), flapping=Flapping(attempts=0))
    life.start()
    for _ in range(3):
        life.lives(0.1)
        life.deadline()
    life.launch_failed()
    assert life.slot.deadline - life.now == pytest.approx(0.5)


def test_one_whose_process_is_known_is_not_refused() -> None:
    life = Life()
    life.start()
    life.spawned()
    before = life.slot
    assert life.refused(generation=9, pid=44) == life.refused(generation=1, pid=None) == ()
    assert life.slot is before


def test_a_refusal_of_what_is_not_asked_for_any_more_changes_nothing() -> None:
    life = Life()
    life.start()
    life.exited(1)
    before = life.slot
    assert life.refused(generation=9, pid=None) == ()
    assert life.slot is before


def test_a_refused_spawn_has_no_life_whose_end_could_be_judged() -> None:
    life = Life(restart="never")
    life.start()
    life.lives(5.0, code=0)
    life.start()
    life.end("health")
    assert life.refused(generation=4, pid=None)[0] == Spawn(5, cause=life.id)
    assert life.slot.exits == ()


def test_of_a_refused_spawn_that_is_not_wanted_any_more_nothing_is_left() -> None:
    life = Life()
    life.start()
    life.stop()
    life.refused(generation=4, pid=None)
    assert (life.slot.phase, life.slot.generation, life.slot.alive) == (Phase.IDLE, 4, False)


def test_after_a_refusal_a_tenth_of_a_second_is_waited() -> None:
    life = Life(backoff=Backoff(initial=0.0, jitter=0.0))
    life.start()
    life.refused(generation=9, pid=None)
    assert (life.slot.alive, life.slot.deadline) == (False, life.now + 0.1)


def test_a_stop_asks_once_and_its_second_signal_comes_after_the_firsts_time() -> None:
    life = Life(graceful_timeout=3.0)
    life.start()
    life.spawned()
    life.stop()
    life.now += 2.0
    assert life.feed(Stop(9)) == ()
    assert life.slot.deadline == 103.0
    assert life.deadline() == (KillGroup(1, cause=life.id),)


def test_a_worker_born_after_an_end_for_a_reason_is_asked_and_still_nobody_wished_it() -> None:
    life = Life(watchdog=Watchdog(timeout=5.0))
    life.start()
    life.end("health", "bad")
    assert life.spawned() == (Signal(1, SIGTERM, cause=life.id),)
    assert not life.slot.asked
    life.exited(0)
    assert (life.slot.phase, life.published) == (Phase.BACKOFF, ["exit", "backoff"])


TWO_STEPS = (StopStep(SIGTERM, 2.0), StopStep(SIGINT, 3.0))


def test_a_life_is_asked_from_the_first_signal_on_whatever_was_sent_before() -> None:
    life = Life(stop=TWO_STEPS)
    life.slot = worn(Phase.READY, alive=True, kills=0, stuck=False, frozen=False, ending=None).slot
    assert life.stop() == (Signal(3, SIGTERM, cause=life.id),)
    assert life.deadline() == (Signal(3, SIGINT, cause=life.id),)
    assert life.slot.stage == 2


def test_a_launch_in_flight_cannot_be_asked_a_second_time() -> None:
    life = Life(stop=TWO_STEPS)
    life.start()
    life.stop()
    assert life.deadline() == (KillGroup(1, cause=life.id),)


def test_an_end_for_a_reason_that_the_next_arbiter_asks_for_is_still_nobodys_wish() -> None:
    life = Life()
    life.start()
    life.end("health", "bad")
    life.slot = rebuild(life.slot, 1, Held(1, "running", 7), life.now)
    assert life.deadline() == (Signal(1, SIGTERM, cause=life.id),)
    assert (life.slot.signalled, life.slot.asked) == (True, False)


def test_a_life_of_exactly_min_uptime_is_not_a_short_one() -> None:
    life = Life(min_uptime=2.0, flapping=Flapping(attempts=1, max_retry=0))
    life.start()
    life.lives(2.0)
    assert (life.slot.phase, life.slot.exits) == (Phase.STARTING, ())


def test_a_life_shorter_than_twice_the_delay_before_it_gives_no_flapping_wait_back() -> None:
    life = Life(flapping=Flapping(attempts=5))
    life.slot = Slot(1, True, Phase.READY, 3, pid=7, alive=True, started=100.0, delay=16.0, retries=1)
    life.now += 31.0
    life.exited(1)
    assert life.slot.retries == 1
    life.slot = Slot(1, True, Phase.READY, 3, pid=7, alive=True, started=100.0, delay=16.0, retries=1)
    life.now += 1.0
    life.exited(1)
    assert life.slot.retries == 0
