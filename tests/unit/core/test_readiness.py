"""Stories of a worker that says when it is ready, and that it is alive."""

from __future__ import annotations

from math import inf
from signal import SIGABRT, SIGTERM
from typing import Any

import pytest
from msgspec.structs import replace

from circus_cg.core.effects import FreezeGroup, RemoveGroup, Signal, Spawn, ThawGroup
from circus_cg.core.events import Checked
from circus_cg.core.readiness import unwell_by
from circus_cg.core.slot import Held, Phase, from_note, rebuild, to_note
from circus_cg.spec import Backoff, Flapping, HealthCheck, Watchdog
from tests.unit.core.lives import Life

WATCHED = Watchdog(timeout=10.0)
CHECK = HealthCheck(name="db", kind="readiness", tcp="5432")


def starting(**spec: Any) -> Life:
    """Its process is there."""
    life = Life(ready="notify", start_timeout=20.0, **spec)
    life.start()
    life.spawned()
    return life


def ready(**spec: Any) -> Life:
    life = starting(**spec)
    life.told(ready=True)
    return life


def adopted(life: Life, pid: int | None = 7) -> Life:
    life.slot = rebuild(from_note(to_note(life.slot)), 1, Held(1, "running", pid), life.now)
    return life


@pytest.mark.parametrize("kind", ["notify", "fd"])
def test_it_is_starting_until_it_says_that_it_is_ready(kind: str) -> None:
    life = Life(ready=kind, start_timeout=20.0)
    assert life.start() == (Spawn(1, cause=1),)
    assert life.slot.deadline == 120.0
    life.spawned()
    assert (life.slot.phase, life.slot.pid, life.published) == (Phase.STARTING, 7, ["started"])
    life.told(status="loading")
    assert (life.slot.phase, life.slot.readiness.status, life.published) == (Phase.STARTING, "loading", [])
    life.told(ready=True)
    assert (life.slot.phase, life.slot.deadline, life.published) == (Phase.READY, inf, ["ready"])


def test_its_word_may_overtake_the_news_of_its_exec() -> None:
    life = Life(ready="notify")
    life.start()
    life.told(ready=True)
    assert life.slot.phase is Phase.STARTING
    life.spawned()
    assert (life.slot.phase, life.published) == (Phase.READY, ["ready"])


def test_the_word_of_an_earlier_life_counts_for_nothing() -> None:
    life = ready()
    life.now += 5
    life.exited()
    assert life.told(generation=1, ready=True) == ()
    assert (life.slot.generation, life.slot.readiness.awaited) == (2, True)


def test_one_that_does_not_become_ready_in_time_is_ended_for_that_and_counts_as_a_crash() -> None:
    life = starting(backoff=Backoff(initial=0.5), flapping=Flapping(attempts=1, retry_in=7.0, max_retry=0))
    assert life.deadline() == (Signal(1, SIGTERM, cause=life.id),)
    assert (life.now, life.slot.phase, life.slot.asked) == (120.0, Phase.STOPPING, False)
    life.exited(0)
    assert life.slot.last_exit is not None
    assert life.slot.last_exit.reason == "start-timeout"
    assert life.slot.phase is Phase.FAILED, "twenty seconds without being ready are no long life"


def test_it_gets_the_time_that_it_asks_for_and_never_less() -> None:
    life = starting()
    life.now += 10
    life.told(extend=5.0)
    assert life.slot.deadline == 120.0
    life.told(extend=60.0)
    assert life.slot.deadline == 170.0
    life.stop()
    life.told(extend=100.0)
    assert life.slot.deadline == 210.0
    life.deadline()
    at = life.slot.deadline
    life.told(extend=1000.0)
    assert life.slot.deadline == at, "one that is being killed"


def test_an_exit_before_it_is_ready_is_an_exit_like_any_other() -> None:
    life = starting()
    assert life.exited(3) == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, life.published) == (Phase.BACKOFF, ["exit", "backoff"])


def test_a_worker_that_says_nothing_for_too_long_is_ended_by_the_watchdogs_signal() -> None:
    life = ready(watchdog=WATCHED)
    assert life.slot.deadline == 110.0
    life.now = 109.0
    life.told(alive=True)
    assert (life.slot.deadline, life.published) == (119.0, [])
    assert life.deadline() == (Signal(1, SIGABRT, cause=life.id),)
    life.exited(None, signal=SIGABRT)
    assert life.slot.last_exit is not None
    assert (life.slot.last_exit.reason, life.slot.asked) == ("watchdog", False)


def test_the_watchdog_waits_until_it_is_ready() -> None:
    life = starting(watchdog=WATCHED)
    assert life.slot.deadline == 120.0
    life.told(alive=True)
    assert life.slot.deadline == 120.0


def test_a_worker_without_a_readiness_of_its_own_is_watched_from_its_exec_on() -> None:
    life = Life(watchdog=WATCHED)
    life.start()
    assert life.slot.deadline == inf
    life.spawned()
    assert (life.slot.phase, life.slot.deadline) == (Phase.READY, 110.0)


def test_it_may_ask_for_another_period_none_or_its_end() -> None:
    life = ready(watchdog=WATCHED)
    life.told(watchdog=50.0)
    assert life.slot.deadline == 150.0
    life.told(watchdog=0.0)
    assert life.slot.deadline == inf
    assert life.told(trigger=True) == (Signal(1, SIGABRT, cause=life.id),)
    assert life.slot.ending is not None
    assert life.slot.ending.reason == "watchdog"


def test_a_word_that_says_nothing_new_changes_nothing() -> None:
    life = ready()
    before = life.slot
    for word in ({"alive": True}, {"ready": True}, {"status": ""}, {}):
        life.told(**word)
        assert life.slot is before


def test_a_frozen_worker_is_not_watched_and_has_a_whole_period_after_the_thaw() -> None:
    life = ready(watchdog=WATCHED)
    assert life.freeze() == (FreezeGroup(1, cause=life.id),)
    assert life.slot.deadline == inf
    life.now += 1000
    assert life.thaw() == (ThawGroup(1, cause=life.id),)
    assert life.slot.deadline == life.now + 10.0


def test_a_worker_that_is_frozen_while_it_starts_keeps_what_is_left_of_its_time() -> None:
    life = starting()
    life.now += 15
    assert life.freeze() == (FreezeGroup(1, cause=life.id),)
    assert (life.slot.deadline, life.slot.left) == (inf, 5.0)
    life.now += 1000
    assert life.thaw() == (ThawGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline) == (Phase.STARTING, life.now + 5.0)


def test_frozen_before_its_exec_it_stands_still_as_soon_as_it_is_there() -> None:
    life = Life(ready="notify", start_timeout=20.0)
    life.start()
    assert life.freeze() == ()
    life.now += 5
    assert life.spawned() == (FreezeGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.deadline, life.slot.left) == (Phase.STARTING, inf, 15.0)
    life.told(ready=True)  # said before it was frozen, read after
    assert (life.slot.phase, life.slot.deadline) == (Phase.READY, inf)


def test_a_reload_is_told_and_over_when_it_is_ready_again() -> None:
    life = ready()
    life.told(reloading=True, status="reading")
    assert (life.slot.phase, life.published, life.slot.readiness.reloading) == (Phase.READY, ["reloading"], True)
    life.told(ready=True)
    assert (life.published, life.slot.readiness.reloading) == (["reloaded"], False)


def test_one_that_says_it_is_stopping_serves_no_more() -> None:
    life = ready()
    assert life.slot.serving
    life.told(stopping=True)
    assert (life.slot.phase, life.slot.serving) == (Phase.READY, False)


def test_readiness_checks_end_nobody_and_decide_who_serves() -> None:
    life = ready(health=(CHECK,))
    assert (life.slot.phase, life.slot.serving) == (Phase.READY, False), "it has passed none yet"
    life.checked()
    assert (life.slot.serving, life.published) == (True, ["serving"])
    before = life.slot
    life.checked()
    assert life.slot is before
    assert life.checked("db") == ()
    assert (life.slot.phase, life.slot.serving, life.published) == (Phase.READY, False, ["unready"])


def test_the_next_life_says_it_again() -> None:
    life = ready(watchdog=WATCHED, health=(CHECK,))
    life.checked()
    life.told(status="fine", main_pid=9)
    life.now += 5
    life.exited()
    assert (life.slot.phase, life.slot.serving) == (Phase.STARTING, False)
    assert (life.slot.readiness.awaited, life.slot.readiness.status) == (True, "")
    assert (life.slot.readiness.main_pid, life.slot.readiness.unwell) == (None, ("db",))


def test_the_next_arbiter_knows_what_was_said_and_has_time_to_read_what_waits() -> None:
    life = starting(watchdog=WATCHED)
    life.told(status="loading")
    life.now += 100
    adopted(life)
    assert (life.slot.phase, life.slot.readiness.status) == (Phase.STARTING, "loading")
    assert life.slot.deadline == life.now + 5.0
    life.told(ready=True)
    assert life.slot.deadline == life.now + 10.0
    life.now += 1000
    adopted(life)
    assert (life.slot.phase, life.slot.deadline) == (Phase.READY, life.now + 10.0)
    assert life.slot.readiness.status == "loading"


def test_a_worker_that_was_born_while_no_arbiter_lived_is_still_awaited() -> None:
    life = Life(ready="notify", start_timeout=20.0)
    life.start()
    life.now += 3
    adopted(life)
    assert (life.slot.phase, life.slot.pid, life.slot.deadline) == (Phase.STARTING, 7, 120.0)


def test_a_frozen_one_is_frozen_again_by_the_next_arbiter_and_keeps_its_time() -> None:
    life = starting()
    life.now += 15
    life.freeze()
    life.now += 1000
    adopted(life)
    assert life.deadline() == (FreezeGroup(1, cause=life.id),)
    life.thaw()
    assert life.slot.deadline == life.now + 5.0


def test_one_that_was_ready_before_its_exec_was_heard_of_has_no_deadline_under_the_next_arbiter() -> None:
    life = Life(ready="notify")
    life.start()
    life.told(ready=True)
    adopted(life)
    assert (life.slot.phase, life.slot.deadline) == (Phase.READY, inf)


@pytest.mark.parametrize("end", ["stop", "crash", "fail", "done"])
def test_nobody_says_anything_of_a_life_that_is_over(end: str) -> None:
    life = Life(
        restart="never" if end == "done" else "always",
        flapping=Flapping(attempts=1 if end == "fail" else 0, max_retry=0),
    )
    life.start()
    life.spawned()
    if end == "stop":
        life.stop()
    life.exited(1)
    before = life.slot
    assert before.phase is {"stop": Phase.IDLE, "crash": Phase.BACKOFF, "fail": Phase.FAILED, "done": Phase.DONE}[end]
    assert life.told(ready=True, status="still here") == life.told(trigger=True) == life.told(extend=9.0) == ()
    assert life.slot is before


def test_a_start_of_which_nothing_new_is_said_is_as_it_was() -> None:
    life = Life(ready="notify")
    life.start()
    life.spawned()
    before = life.slot
    assert life.told(alive=True) == ()
    assert life.slot is before


def test_a_watchdog_may_be_quick() -> None:
    life = Life(watchdog=Watchdog(timeout=0.5))
    life.start()
    life.spawned()
    assert life.slot.deadline == life.now + 0.5
    life.told(watchdog=0.25)
    assert life.slot.deadline == life.now + 0.25


def test_one_that_is_frozen_on_its_way_and_had_said_that_it_is_ready_has_no_time_left_to_keep() -> None:
    life = Life(ready="notify", start_timeout=90.0)
    life.start()
    life.spawned()
    life.freeze()
    assert life.slot.left == 90.0
    life.told(ready=True)
    assert (life.slot.phase, life.slot.frozen, life.slot.left, life.slot.deadline) == (Phase.READY, True, 0.0, inf)


def test_only_a_sign_of_life_is_one() -> None:
    life = Life(watchdog=WATCHED)
    life.start()
    life.spawned()
    deadline = life.slot.deadline
    life.now += 5
    life.told(status="at work")
    life.told(main_pid=9)
    assert (life.slot.readiness.heard, life.slot.deadline) == (100.0, deadline)
    life.told(alive=True)
    assert (life.slot.readiness.heard, life.slot.deadline) == (105.0, 115.0)


def test_what_it_said_once_stays_until_it_says_something_else() -> None:
    life = ready()
    life.told(main_pid=9, status="at work")
    life.told(alive=True)
    assert (life.slot.readiness.main_pid, life.slot.readiness.status) == (9, "at work")
    life.told(error="errno 5 (EIO)")
    assert (life.slot.readiness.main_pid, life.slot.readiness.status) == (9, "errno 5 (EIO)")
    life.told(main_pid=8, status="")
    assert (life.slot.readiness.main_pid, life.slot.readiness.status) == (8, "")


def test_a_check_that_is_removed_while_a_worker_starts_is_not_waited_for_when_it_is_ready() -> None:
    """Nobody asks for it any more, so nobody would ever say that it is passed."""
    life = starting(health=(CHECK,))
    assert life.checked() == ()
    assert (life.slot.phase, life.slot.readiness.unwell, life.slot.deadline) == (Phase.STARTING, (), 120.0)
    assert life.published == [], "it serves nobody yet"
    life.told(ready=True)
    assert (life.slot.serving, life.published) == (True, ["ready"])


def test_of_what_it_did_not_pass_counts_what_is_a_readiness_check_still() -> None:
    """A configuration that was read while a worker lives, or while no arbiter did."""
    cache = HealthCheck(name="cache", kind="readiness", tcp="1")
    alive = HealthCheck(name="db", kind="liveness", tcp="5432")
    slot = ready(health=(CHECK, cache)).slot
    assert slot.readiness.unwell == ("db", "cache")
    for health, left in (((CHECK, cache), ("db", "cache")), ((cache,), ("cache",)), ((alive,), ()), ((), ())):
        assert unwell_by(Life(health=health).spec, slot) == left


def test_an_answer_about_an_earlier_life_or_one_on_its_way_out_counts_for_nothing() -> None:
    life = ready(health=(CHECK,))
    before = life.slot
    assert life.feed(Checked(99, life.slot.generation - 1, ())) == ()
    assert life.slot is before
    life.stop()
    before = life.slot
    assert life.checked() == ()
    assert life.slot is before


def test_the_time_to_start_says_nothing_to_one_that_only_waits_for_the_news_of_its_exec() -> None:
    life = Life(ready="notify", start_timeout=20.0)
    life.start()
    life.told(ready=True)
    before = life.slot
    assert (life.deadline(), life.published) == ((), [])
    assert life.slot == replace(before, deadline=inf, cause=life.id)


def test_one_that_is_woken_too_early_is_not_ended() -> None:
    life = ready(watchdog=WATCHED)
    heard = life.slot.readiness.heard
    life.slot = replace(life.slot, deadline=heard + 3)
    assert (life.deadline(), life.published) == ((), [])
    assert (life.now, life.slot.phase, life.slot.deadline) == (heard + 3, Phase.READY, heard + 10)


def test_a_time_that_is_asked_for_and_that_it_has_already_changes_nothing() -> None:
    life = starting()
    before = life.slot
    assert life.told(extend=20.0) == ()
    assert life.slot is before
