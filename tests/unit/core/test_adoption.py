"""A slot outlives its arbiter."""

import json
from math import inf
from signal import SIGTERM
from typing import Any

import msgspec
import pytest

from circus_cg.core.effects import FreezeGroup, KillGroup, RemoveGroup, Signal, Spawn
from circus_cg.core.slot import Exit, Held, Phase, Slot, from_note, rebuild, to_note
from circus_cg.core.state import Ending, Readiness
from circus_cg.spec import Watchdog
from tests.unit.core.lives import Life


def adopted(life: Life, held: Held) -> Life:
    """The same life, under the next arbiter."""
    life.slot = rebuild(from_note(to_note(life.slot)), 1, held, life.now)
    return life


def ready() -> Life:
    life = Life()
    life.start()
    life.spawned()
    return life


def test_a_note_gives_the_slot_back() -> None:
    life = ready()
    life.exited(None, signal=SIGTERM, detail="a détail")
    assert from_note(to_note(life.slot)) == life.slot


def test_infinity_travels_as_null() -> None:
    assert json.loads(to_note(Slot(wid=3)))["deadline"] is None
    assert from_note(to_note(Slot(wid=3))).deadline == inf


def test_a_note_of_another_version_is_read() -> None:
    note = json.loads(to_note(ready().slot))
    del note["retries"], note["deadline"]
    assert from_note(json.dumps(note | {"mood": "good"})) == ready().slot


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"wid": "one"}', '{"wanted": true}'])
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        from_note(text)


def test_a_running_worker_stays_as_it_was() -> None:
    life = ready()
    before = life.slot
    assert adopted(life, Held(1, "running", 7)).slot == before


def test_its_uptime_goes_on_while_no_arbiter_lives() -> None:
    life = ready()
    started = life.slot.started
    life.now += 30
    assert adopted(life, Held(1, "running", 7)).slot.started == started


def test_the_place_is_the_keepers_whatever_the_note_says() -> None:
    assert rebuild(Slot(wid=3), 1, Held(0, "empty", None), 50.0) == Slot(wid=1)


def test_a_worker_that_came_up_meanwhile_is_ready() -> None:
    life = Life()
    life.start()
    life.now += 3
    slot = adopted(life, Held(1, "running", 7)).slot
    assert (slot.phase, slot.pid, slot.started) == (Phase.READY, 7, life.now)


def test_one_that_said_it_was_ready_before_its_exec_was_reported_waits_for_nothing_more() -> None:
    life = Life(ready="notify", start_timeout=90.0)
    life.start()
    life.told(ready=True)
    slot = adopted(life, Held(1, "running", 7)).slot
    assert (slot.phase, slot.deadline) == (Phase.READY, inf)


def test_a_spawn_still_in_flight_is_waited_for() -> None:
    life = Life()
    life.start()
    adopted(life, Held(1, "launching", None)).spawned()
    assert life.slot.phase is Phase.READY


def test_an_exit_nobody_heard_of_is_an_ordinary_exit_afterwards() -> None:
    life = ready()
    life.now += 5
    adopted(life, Held(1, "exited", None))
    assert life.exited() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))


def test_an_exit_the_note_knows_of_is_not_counted_again() -> None:
    life = ready()
    life.exited()
    before = life.slot
    adopted(life, Held(1, "exited", None))
    assert life.exited() == ()
    assert life.slot == before


def test_what_is_left_of_an_exit_the_note_knows_of_is_looked_at_at_once() -> None:
    life = ready()
    life.exited(populated=True)
    life.now += 0.1
    adopted(life, Held(1, "exited", None))
    assert (life.slot.phase, life.slot.alive, life.slot.deadline) == (Phase.STOPPING, False, life.now)


def test_one_that_was_to_be_frozen_while_its_exec_was_under_way_is_frozen_at_once_and_keeps_its_time_to_start() -> None:
    life = Life(ready="notify", start_timeout=90.0)
    life.start()
    life.freeze()
    life.now += 50
    assert adopted(life, Held(1, "running", 7)).slot.deadline == life.now
    assert life.deadline() == (FreezeGroup(1, cause=life.id),)
    life.now += 1000
    life.thaw()
    assert (life.slot.phase, life.slot.deadline) == (Phase.STARTING, life.now + 40)


def test_of_a_time_to_start_that_is_nearly_over_enough_is_left_to_read_what_was_said_meanwhile() -> None:
    life = Life(ready="notify", start_timeout=90.0)
    life.start()
    life.freeze()
    life.now += 89
    adopted(life, Held(1, "running", 7)).deadline()
    life.thaw()
    assert life.slot.deadline == life.now + 5


def test_silence_does_not_count_while_no_arbiter_listens() -> None:
    life = Life(watchdog=Watchdog(timeout=10.0))
    life.start()
    life.spawned()
    life.now += 100
    slot = adopted(life, Held(1, "running", 7)).slot
    assert (slot.phase, slot.readiness.heard, slot.deadline) == (Phase.READY, life.now, life.now + 10)


@pytest.mark.parametrize(
    ("ending", "asked"), [(None, False), (None, True), (Ending("health", ""), False), (Ending("health", ""), True)]
)
def test_only_an_end_for_a_reason_that_nobody_asked_for_is_left_to_the_restart_policy(
    ending: Ending | None, asked: bool
) -> None:
    noted = Slot(1, True, Phase.STOPPING, 1, 60.0, 7, True, asked, signalled=True, started=1.0, ending=ending)
    slot = rebuild(noted, 1, Held(1, "running", 7), 50.0)
    assert (slot.phase, slot.asked, slot.deadline) == (Phase.STOPPING, asked or ending is None, 60.0)


def test_a_life_the_note_does_not_know_has_nothing_of_the_one_before() -> None:
    history: dict[str, Any] = {"since": 20.0, "restarts": 4, "exits": (3.0,), "delay": 2.0, "retries": 1}
    of_the_life_before = Slot(
        wid=1,
        wanted=True,
        phase=Phase.STOPPING,
        generation=1,
        deadline=33.0,
        pid=7,
        alive=True,
        asked=True,
        signalled=True,
        started=2.0,
        kills=3,
        stuck=True,
        frozen=True,
        left=4.0,
        ending=Ending("memory", "much"),
        readiness=Readiness(awaited=True, status="busy"),
        **history,
    )
    running = rebuild(of_the_life_before, 1, Held(2, "running", 9), 50.0)
    assert running == Slot(
        wid=1, wanted=True, phase=Phase.READY, generation=2, pid=9, alive=True, started=50.0, **history
    )
    launching = rebuild(of_the_life_before, 1, Held(2, "launching", None), 50.0)
    assert launching == Slot(wid=1, wanted=True, phase=Phase.STARTING, generation=2, alive=True, **history)


def test_a_backoff_that_ended_meanwhile_ends_at_once() -> None:
    life = ready()
    life.exited()
    life.now += 100
    adopted(life, Held(1, "empty", None))
    assert life.slot.deadline < life.now
    assert life.deadline() == (Spawn(2, cause=life.id),)


def test_a_stop_that_was_signalled_keeps_its_deadline() -> None:
    life = ready()
    life.stop()
    deadline = life.slot.deadline
    life.now += 1
    adopted(life, Held(1, "running", 7))
    assert (life.slot.phase, life.slot.deadline) == (Phase.STOPPING, deadline)
    assert life.deadline() == (KillGroup(1, cause=life.id),)


def test_a_stop_that_met_a_spawn_in_flight_signals_at_once_what_came_of_it() -> None:
    life = Life()
    life.start()
    life.stop()
    adopted(life, Held(1, "running", 7))
    assert life.slot.deadline == life.now
    assert life.deadline() == (Signal(1, SIGTERM, cause=life.id),)
    assert life.slot.deadline == life.now + life.spec.graceful_timeout


def test_leftovers_are_looked_at_again_at_once() -> None:
    life = ready()
    life.exited(populated=True)
    life.now += 0.1
    adopted(life, Held(1, "empty", None))
    assert (life.slot.phase, life.slot.deadline) == (Phase.STOPPING, life.now)
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    life.emptied()
    assert life.slot.phase is Phase.BACKOFF


def test_a_worker_whose_end_is_nowhere_on_record_is_cleared_away_and_replaced() -> None:
    life = ready()
    adopted(life, Held(1, "empty", None))
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    life.emptied()
    assert life.slot.phase is Phase.BACKOFF
    assert str(life.slot.last_exit) == "ended while no arbiter watched"
    assert life.slot.last_exit == Exit(None, None, "unknown", "", 0.0, life.now)


@pytest.mark.parametrize("state", ["launching", "running", "exited"])
def test_a_life_without_a_note_is_adopted_as_wanted(state: str) -> None:
    slot = rebuild(None, 4, Held(6, state, 7 if state == "running" else None), 50.0)  # type: ignore[arg-type]
    assert (slot.wid, slot.generation, slot.wanted, slot.alive) == (4, 6, True, True)
    assert slot.phase is (Phase.READY if state == "running" else Phase.STARTING)
    assert slot.deadline == inf


def test_an_empty_place_without_a_note_is_idle_with_the_keepers_generation() -> None:
    assert rebuild(None, 4, Held(6, "empty", None), 50.0) == Slot(wid=4, generation=6)


@pytest.mark.parametrize("state", ["launching", "running", "exited"])
def test_a_life_the_note_does_not_want_is_stopped(state: str) -> None:
    noted = Slot(wid=1, generation=2)
    slot = rebuild(noted, 1, Held(3, state, 7 if state == "running" else None), 50.0)  # type: ignore[arg-type]
    assert (slot.phase, slot.wanted, slot.generation, slot.deadline) == (Phase.STOPPING, False, 3, 50.0)


def test_the_keepers_life_wins_over_the_notes_backoff() -> None:
    life = ready()
    life.exited()
    slot = adopted(life, Held(2, "running", 9)).slot
    assert (slot.phase, slot.generation, slot.pid, slot.deadline) == (Phase.READY, 2, 9, inf)
