"""Lives that end for a reason of ours: asked as in a stop, and told by that reason; what follows is the policy's."""

from math import inf
from signal import SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM

from msgspec.structs import replace

from circus_cg.core.adoption import Held, from_note, rebuild, to_note
from circus_cg.core.backoff import HOST_LEAST
from circus_cg.core.effects import KillGroup, RemoveGroup, Signal, Spawn, ThawGroup
from circus_cg.core.ending import patience
from circus_cg.core.slot import Phase
from circus_cg.core.state import Ending, Reason
from circus_cg.spec import Backoff, StopStep
from tests.unit.core.lives import Life


def ready(draw: float = 0.0, **spec: object) -> Life:
    life = Life(draw, **spec)
    life.start()
    life.spawned()
    return life


def test_it_is_asked_as_in_a_stop_and_the_exit_tells_the_reason() -> None:
    life = ready(graceful_timeout=3.0)
    assert life.end("memory", "over 64M for 30 s") == (Signal(1, SIGTERM, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline) == (Phase.STOPPING, 103.0)
    assert life.details == ["memory: over 64M for 30 s; signal 15, 3 s to leave"]
    life.now += 2
    assert life.exited(None, signal=SIGTERM) == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    assert life.slot.last_exit is not None
    assert (life.slot.last_exit.reason, life.slot.last_exit.detail) == ("memory", "over 64M for 30 s")
    assert str(life.slot.last_exit) == "ended for memory, killed by signal 15 after 2.00 s: over 64M for 30 s"
    assert life.slot.ending is None


def test_its_own_signal_goes_first_and_a_kill_follows() -> None:
    life = ready()
    assert life.end("watchdog", signum=SIGABRT) == (Signal(1, SIGABRT, cause=life.id),)
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    life.exited(None, signal=SIGKILL)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "watchdog"


def test_after_an_end_for_the_hosts_sake_the_next_life_never_begins_at_once() -> None:
    """So that whoever watches the host can put it off; after a leak of its own it may."""
    cases: tuple[tuple[Reason, bool], ...] = (("pressure", True), ("memory", False))
    for reason, waits in cases:
        life = ready(backoff=Backoff(initial=0))
        life.now += 2
        life.end(reason)
        life.exited(None, signal=SIGTERM)
        assert (life.slot.phase is Phase.BACKOFF) is waits
        assert life.slot.deadline == (life.now + HOST_LEAST if waits else inf)


def test_it_counts_as_a_life_that_ended_by_itself() -> None:
    life = ready(min_uptime=5.0)
    life.now += 1
    life.end("health")
    assert life.exited(0) == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, len(life.slot.exits), life.slot.delay) == (Phase.BACKOFF, 1, 0.5)


def test_another_generations_end_changes_nothing() -> None:
    life = ready()
    before = life.slot
    assert life.end(generation=2) == ()
    assert life.slot is before


def test_a_life_that_is_on_its_way_out_is_not_asked_twice() -> None:
    life = ready()
    life.stop()
    before = life.slot
    assert life.end() == ()
    assert life.slot is before
    life.exited(0)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "exited"


def test_a_stop_meanwhile_is_obeyed_and_the_reason_stays() -> None:
    life = ready()
    life.end("max-age")
    assert life.stop() == ()
    life.exited(0)
    assert (life.slot.phase, life.slot.wanted) == (Phase.IDLE, False)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "max-age"


def test_a_restart_meanwhile_begins_the_next_life_without_delay() -> None:
    life = ready(min_uptime=5.0)
    life.end("health")
    life.restart()
    assert life.exited(1) == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    assert life.slot.restarts == 0


def test_a_frozen_one_is_thawed_so_that_it_can_leave() -> None:
    life = ready()
    life.freeze()
    assert life.end("pressure") == (ThawGroup(1, cause=life.id), Signal(1, SIGTERM, cause=life.id))


def test_one_whose_launch_is_in_flight_is_asked_once_it_is_there() -> None:
    life = Life()
    life.start()
    assert life.end("start-timeout", signum=SIGABRT) == ()
    assert life.spawned() == (Signal(1, SIGABRT, cause=life.id),)
    assert life.exited(None, signal=SIGABRT) == (RemoveGroup(1, cause=life.id),)
    assert life.slot.phase is Phase.BACKOFF


def test_the_next_arbiter_knows_that_it_was_no_operator_who_ended_it() -> None:
    life = ready(min_uptime=5.0)
    life.end("watchdog", "nothing heard for 10 s", signum=SIGABRT)
    life.slot = rebuild(from_note(to_note(life.slot)), 1, Held(1, "running", 7), life.now)
    assert life.slot.ending == Ending(reason="watchdog", detail="nothing heard for 10 s", signum=SIGABRT)
    assert life.exited(None, signal=SIGABRT) == (RemoveGroup(1, cause=life.id),)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.reason) == (Phase.BACKOFF, "watchdog")


def test_the_oom_verdict_is_told_beside_the_reason() -> None:
    life = ready()
    life.end("pressure", "memory full avg10 70 %")
    life.exited(None, signal=SIGKILL, oom="host", detail="memory_max none, peak 9")
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.detail == "memory full avg10 70 %, memory_max none, peak 9"


# --- Several signals, one after the other.

STEPS = (StopStep(SIGTERM, 10.0), StopStep(SIGINT, 5.0), StopStep(SIGQUIT, 0.0))


def test_each_signal_has_its_time_and_then_the_group_is_killed() -> None:
    life = ready(stop=STEPS, graceful_timeout=1.0, stop_signal=SIGHUP)
    assert life.stop() == (Signal(1, SIGTERM, cause=life.id),)
    assert life.slot.deadline == 110.0
    assert life.deadline() == (Signal(1, SIGINT, cause=life.id),)
    assert life.slot.deadline == 115.0
    assert life.deadline() == (Signal(1, SIGQUIT, cause=life.id),)
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    assert life.now == 115.0
    assert patience(life.spec) == 15.0


def test_a_signal_for_this_once_is_followed_by_none_of_the_watchers_own() -> None:
    life = ready(stop=STEPS)
    own, life.spec = life.spec, replace(life.spec, stop=(), stop_signal=SIGHUP, graceful_timeout=2.0)
    assert life.restart() == (Signal(1, SIGHUP, cause=life.id),)
    life.spec = own
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    assert life.now == 102.0


def test_who_leaves_at_one_of_them_is_not_killed() -> None:
    life = ready(stop=STEPS)
    life.stop()
    life.deadline()
    assert life.exited(None, signal=SIGINT) == (RemoveGroup(1, cause=life.id),)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "signal"


def test_leftovers_of_the_worker_are_asked_no_further() -> None:
    life = ready(stop=STEPS)
    life.stop()
    assert life.exited(0, populated=True) == (KillGroup(1, cause=life.id),)
    assert life.deadline() == (KillGroup(1, cause=life.id),)


def test_a_reasons_own_signal_goes_instead_of_the_first() -> None:
    life = ready(stop=STEPS)
    assert life.end("watchdog", signum=SIGABRT) == (Signal(1, SIGABRT, cause=life.id),)
    assert life.slot.deadline == 110.0
    assert life.deadline() == (Signal(1, SIGINT, cause=life.id),)


def test_the_next_arbiter_goes_on_at_the_signal_that_is_due() -> None:
    life = ready(stop=STEPS)
    life.stop()
    life.deadline()
    life.slot = rebuild(from_note(to_note(life.slot)), 1, Held(1, "running", 7), life.now)
    assert life.deadline() == (Signal(1, SIGQUIT, cause=life.id),)


def test_the_next_life_is_asked_from_the_beginning() -> None:
    life = ready(stop=STEPS)
    life.restart()
    life.deadline()
    life.exited(None, signal=SIGINT)
    life.spawned()
    assert life.stop() == (Signal(2, SIGTERM, cause=life.id),)


def test_everything_in_the_group_can_be_asked() -> None:
    life = ready(stop=STEPS, stop_children=True)
    assert life.stop() == (Signal(1, SIGTERM, cause=life.id, group=True),)
    assert life.deadline() == (Signal(1, SIGINT, cause=life.id, group=True),)


def test_one_in_flight_has_no_step_of_its_stop_behind_it() -> None:
    """It is asked when it is there, by the first."""
    life = Life(0.0, stop=(StopStep(SIGTERM, 3.0), StopStep(SIGINT, 2.0)))
    life.start()
    life.stop()
    assert (life.slot.phase, life.slot.signalled, life.slot.stage) == (Phase.STOPPING, False, 0)
    assert life.spawned()[0] == Signal(1, SIGTERM, cause=life.id)
    assert (life.slot.signalled, life.slot.stage) == (True, 1)
