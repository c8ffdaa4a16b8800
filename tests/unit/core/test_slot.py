"""Stories of one slot."""

from math import inf
from signal import SIGKILL, SIGSEGV, SIGTERM, SIGUSR1

import pytest

from circus_cg.core.effects import KillGroup, RemoveGroup, Signal, Spawn
from circus_cg.core.events import DeadlineReached
from circus_cg.core.slot import Phase
from circus_cg.spec import Backoff, Flapping
from tests.unit.core.lives import Life


def ready(draw: float = 0.0, **spec: object) -> Life:
    life = Life(draw, **spec)
    life.start()
    life.spawned()
    return life


def test_a_start_spawns_and_the_exec_makes_it_ready() -> None:
    life = Life()
    assert life.start() == (Spawn(1, cause=1),)
    assert life.slot.phase is Phase.STARTING
    assert life.spawned() == ()
    assert (life.slot.phase, life.slot.pid, life.slot.started, life.published) == (Phase.READY, 7, 100.0, ["ready"])


def test_a_worker_that_had_been_good_is_replaced_at_once_and_the_spawn_comes_first() -> None:
    life = ready()
    life.now += 5
    assert life.exited() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    assert (life.slot.phase, life.slot.restarts) == (Phase.STARTING, 1)


def test_a_crash_at_start_waits_with_jitter() -> None:
    life = ready(draw=0.5)
    assert life.exited() == (RemoveGroup(1, cause=life.id),)
    assert life.slot.phase is Phase.BACKOFF
    assert life.slot.deadline == pytest.approx(100.525)
    assert life.published == ["exit", "backoff"]
    assert life.deadline() == (Spawn(2, cause=life.id),)


def test_a_deadline_reached_too_early_changes_nothing() -> None:
    life = ready()
    life.exited()
    before, life.now = life.slot, life.slot.deadline - 0.001
    assert life.feed(DeadlineReached(99)) == ()
    assert life.slot is before


def test_stop_asks_first_and_kills_what_stays() -> None:
    life = ready(graceful_timeout=3.0, stop_signal=SIGUSR1)
    assert life.stop() == (Signal(1, SIGUSR1, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline) == (Phase.STOPPING, 103.0)
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    assert life.slot.deadline == 104.0
    assert life.exited(None, signal=SIGKILL) == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline, life.published) == (Phase.IDLE, inf, ["exit", "stopped"])
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "killed"


def test_leftovers_of_a_stopped_worker_are_killed_as_soon_as_it_is_gone() -> None:
    life = ready(graceful_timeout=30.0)
    life.stop()
    life.now += 1
    assert life.exited(0, populated=True) == (KillGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline) == (Phase.STOPPING, 102.0)
    assert life.emptied() == (RemoveGroup(1, cause=life.id),)
    assert life.slot.phase is Phase.IDLE


def test_leftovers_of_a_dead_worker_are_killed_before_the_next_life_begins() -> None:
    life = ready()
    life.now += 5
    assert life.exited(1, populated=True) == (KillGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.wanted) == (Phase.STOPPING, True)
    assert life.deadline() == (KillGroup(1, cause=life.id),)
    assert life.emptied() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    assert life.slot.restarts == 1


def test_leftovers_do_not_make_a_short_life_long() -> None:
    life = ready()
    life.exited(1, populated=True)
    life.now += 50
    assert life.emptied() == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.delay, life.slot.exits) == (Phase.BACKOFF, 0.5, (100.0,))


def test_a_group_that_will_not_empty_is_reported_stuck_once_and_killed_for_ever() -> None:
    life = ready()
    life.stop()
    kinds = []
    for _ in range(8):
        assert life.deadline() == (KillGroup(1, cause=life.id),)
        kinds += life.published
    assert (kinds, life.slot.stuck) == (["stuck"], True)
    assert life.slot.kills == 8
    life.exited(None, signal=SIGKILL)
    life.start()
    assert (life.slot.stuck, life.slot.kills) == (False, 0)


def test_a_worker_born_after_the_stop_is_asked_to_leave() -> None:
    life = Life()
    life.start()
    assert life.stop() == ()
    assert life.slot.deadline < inf
    assert life.spawned() == (Signal(1, SIGTERM, cause=life.id),)
    assert life.slot.phase is Phase.STOPPING


def test_a_spawn_in_flight_is_group_killed_when_the_stop_has_waited_long_enough() -> None:
    life = Life()
    life.start()
    life.stop()
    assert life.deadline() == (KillGroup(1, cause=life.id),)


def test_start_while_stopping_starts_again_once_it_is_down() -> None:
    life = ready()
    life.stop()
    assert life.start() == ()
    assert life.exited() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    assert life.slot.restarts == 0


def test_stop_while_restarting_stays_down() -> None:
    life = ready()
    life.restart()
    life.stop()
    life.exited()
    assert (life.slot.phase, life.slot.wanted) == (Phase.IDLE, False)


def test_a_stop_while_leftovers_are_killed_stays_down() -> None:
    life = ready()
    life.exited(1, populated=True)
    assert life.stop() == ()
    life.emptied()
    assert life.slot.phase is Phase.IDLE


def test_restart_begins_the_next_life_without_delay_and_forgets_the_crashes() -> None:
    life = ready()
    for _ in range(2):
        life.exited()
        life.deadline()
        life.spawned()
    assert life.slot.exits
    assert life.restart() == (Signal(3, SIGTERM, cause=life.id),)
    assert life.exited(None, signal=SIGTERM) == (Spawn(4, cause=life.id), RemoveGroup(3, cause=life.id))
    assert (life.slot.exits, life.slot.delay, life.slot.restarts) == ((), None, 2)


@pytest.mark.parametrize("wish", ["start", "restart"])
def test_an_operators_wish_ends_a_backoff(wish: str) -> None:
    life = ready()
    life.exited()
    assert getattr(life, wish)() == (Spawn(2, cause=life.id),)
    assert (life.slot.restarts, life.slot.deadline) == (0, inf)


def test_a_commanded_exit_is_no_failure() -> None:
    life = ready(flapping=Flapping(attempts=1, max_retry=0))
    for _ in range(5):
        life.restart()
        life.exited()
        life.spawned()
    assert (life.slot.phase, life.slot.exits) == (Phase.READY, ())


def test_flapping_waits_then_fails_and_a_start_revives() -> None:
    life = Life(flapping=Flapping(attempts=2, window=60.0, retry_in=7.0, max_retry=1))
    life.start()
    life.lives(0.1)
    life.deadline()
    life.lives(0.1)
    assert (life.published, life.slot.retries, life.slot.exits) == (["exit", "flapping"], 1, ())
    assert life.slot.deadline == life.now + 7.0
    life.deadline()
    life.lives(0.1)
    life.deadline()
    assert life.lives(0.1) == (RemoveGroup(4, cause=life.id),)
    assert (life.slot.phase, life.slot.wanted, life.published) == (Phase.FAILED, True, ["exit", "failed"])
    assert life.start() == (Spawn(5, cause=life.id),)
    assert life.slot.retries == 0


def test_a_stable_life_gives_the_flapping_waits_back() -> None:
    life = Life(flapping=Flapping(attempts=1, retry_in=7.0, max_retry=1))
    life.start()
    life.lives(0.1)
    life.deadline()
    life.lives(100.0)
    assert (life.slot.phase, life.slot.retries) == (Phase.STARTING, 0)
    life.lives(0.1)
    assert life.slot.phase is Phase.BACKOFF


def test_lives_past_min_uptime_never_flap() -> None:
    life = Life(flapping=Flapping(attempts=1, max_retry=0))
    life.start()
    for _ in range(20):
        life.lives(1.5)
        if life.slot.phase is Phase.BACKOFF:
            life.deadline()
    assert life.slot.phase is Phase.STARTING


def test_flapping_without_a_limit_never_fails() -> None:
    life = Life(flapping=Flapping(attempts=1, max_retry=-1))
    life.start()
    for _ in range(50):
        life.lives(0.0)
        assert life.slot.phase is Phase.BACKOFF
        life.deadline()


def test_exec_failures_back_off_and_then_fail() -> None:
    life = Life(max_retry=2, backoff=Backoff(initial=0.0))
    life.start()
    assert life.launch_failed() == (RemoveGroup(1, cause=life.id),)
    assert life.slot.deadline == pytest.approx(100.1)
    life.deadline()
    life.launch_failed()
    assert life.slot.deadline == pytest.approx(100.3)
    life.deadline()
    life.launch_failed()
    assert (life.slot.phase, life.published) == (Phase.FAILED, ["exit", "failed"])
    assert life.slot.last_exit is not None
    assert str(life.slot.last_exit) == "could not be started: exec: No such file or directory"


def test_an_exec_that_succeeds_ends_the_row_of_failures() -> None:
    life = Life(max_retry=1)
    life.start()
    life.launch_failed()
    life.deadline()
    life.spawned()
    assert (life.slot.exec_failures, life.slot.delay) == (0, None)


def test_an_exit_that_overtakes_its_spawn_is_a_short_life() -> None:
    life = Life()
    life.start()
    life.exited(3)
    assert life.slot.phase is Phase.BACKOFF
    assert life.spawned() == ()
    assert life.slot.phase is Phase.BACKOFF


def test_news_of_an_earlier_life_changes_nothing() -> None:
    life = ready()
    life.now += 5
    life.exited()
    life.spawned()
    before = life.slot
    assert life.exited(generation=1) == life.spawned(generation=1, pid=9) == ()
    assert life.slot is before


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.BACKOFF])
def test_an_exit_told_twice_counts_once(phase: Phase) -> None:
    life = ready()
    if phase is Phase.IDLE:
        life.stop()
    life.exited()
    before = life.slot
    assert life.exited() == life.emptied() == life.launch_failed() == ()
    assert life.slot is before
    assert before.phase is phase


def test_a_refused_spawn_adopts_the_worker_that_is_there() -> None:
    life = Life()
    life.start()
    assert life.refused(generation=9, pid=44) == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.generation, life.slot.pid) == (Phase.READY, 9, 44)


def test_a_refused_spawn_with_nobody_there_is_tried_again_soon_with_the_keepers_generation() -> None:
    life = Life()
    life.start()
    life.refused(generation=9, pid=None)
    assert life.slot.phase is Phase.BACKOFF
    assert life.deadline() == (Spawn(10, cause=life.id),)


def test_a_life_that_takes_the_number_of_a_refused_one_keeps_the_group() -> None:
    life = Life()
    life.start()
    life.stop()
    life.start()
    assert life.refused(generation=0, pid=None) == (Spawn(1, cause=life.id), RemoveGroup(0, cause=life.id))


def test_a_refused_spawn_that_is_not_wanted_any_more_stops_the_worker_that_is_there() -> None:
    life = Life()
    life.start()
    life.stop()
    assert life.refused(generation=9, pid=44) == (Signal(9, SIGTERM, cause=life.id), RemoveGroup(1, cause=life.id))
    assert life.slot.phase is Phase.STOPPING


@pytest.mark.parametrize(
    ("exit_", "reason", "text"),
    [
        ({"code": 3}, "exited", "exited with status 3 after 2.00 s"),
        ({"code": None, "signal": SIGSEGV}, "signal", "killed by signal 11 after 2.00 s"),
        ({"code": None, "signal": SIGKILL}, "signal", "killed by signal 9 after 2.00 s"),
        (
            {"code": None, "signal": SIGKILL, "oom": "own", "detail": "memory_max 64M"},
            "oom",
            "OOM-killed at its own limit after 2.00 s: memory_max 64M",
        ),
        (
            {"code": None, "signal": SIGKILL, "oom": "host"},
            "oom-host",
            "OOM-killed, the host being short of memory after 2.00 s",
        ),
    ],
)
def test_the_last_exit_says_why(exit_: dict[str, object], reason: str, text: str) -> None:
    life = ready()
    life.now += 2
    life.exited(**exit_)  # type: ignore[arg-type]
    assert life.slot.last_exit is not None
    assert (life.slot.last_exit.reason, str(life.slot.last_exit)) == (reason, text)


def test_a_restart_overrides_a_stop_under_way() -> None:
    life = ready()
    life.stop()
    assert life.restart() == ()
    assert life.exited() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))


def test_a_restart_while_leftovers_are_killed_begins_without_delay() -> None:
    life = ready()
    life.exited(1, populated=True)
    assert life.restart() == ()
    assert life.emptied() == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))


def test_only_short_lives_count_for_flapping() -> None:
    life = Life(flapping=Flapping(attempts=2))
    life.start()
    life.lives(2.0)
    life.lives(0.1)
    assert (life.published, life.slot.exits) == (["exit", "backoff"], (life.now,))


def test_a_slot_knows_since_when_it_is_in_its_phase_and_what_brought_it_there() -> None:
    life = ready()
    life.stop()
    life.now += 1
    life.start()
    assert (life.slot.since, life.slot.cause) == (100.0, life.id)
    life.exited()
    assert (life.slot.since, life.slot.cause) == (101.0, life.id)


def test_no_life_is_shorter_than_nothing() -> None:
    """The end's time is the keeper's, the start's is when its news was read: that may be later."""
    life = Life()
    life.start()
    life.spawned()
    life.now -= 0.005
    life.exited(3)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.uptime == 0.0
