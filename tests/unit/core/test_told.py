"""What is told of a slot, word for word: kind and detail of each record."""

from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any

from circus_cg.core.effects import Publish
from circus_cg.core.events import Exited, LaunchFailed
from circus_cg.core.slot import step
from circus_cg.spec import Backoff, Flapping, HealthCheck, StopStep, Watchdog
from tests.unit.core.lives import Life

STEADY = Backoff(initial=0.5, jitter=0.0)


def told(life: Life) -> list[tuple[str, str]]:
    return list(zip(life.published, life.details, strict=True))


def up(**spec: Any) -> Life:
    life = Life(**spec)
    life.start()
    life.spawned(pid=42)
    return life


def test_a_life_from_its_exec_to_its_crash() -> None:
    life = up(backoff=STEADY)
    assert told(life) == [("ready", "pid 42")]
    life.now += 0.25
    life.exited(3, detail="core dumped")
    assert told(life) == [
        ("exit", "exited with status 3 after 0.25 s: core dumped"),
        ("backoff", "restart in 0.50 s (1 short lives in 60 s)"),
    ]


def test_one_that_says_itself_that_it_is_ready() -> None:
    life = up(ready="notify")
    assert told(life) == [("started", "pid 42")]
    life.told(ready=True)
    assert told(life) == [("ready", "pid 42")]
    life.told(reloading=True)
    assert told(life) == [("reloading", "")]
    life.told(ready=True)
    assert told(life) == [("reloaded", "")]


def test_one_that_is_late() -> None:
    life = up(ready="notify", start_timeout=4.0)
    life.deadline()
    assert told(life) == [("stopping", "start-timeout: not ready after 4 s; signal 15, 30 s to leave")]
    life.exited(None, signal=SIGTERM)
    assert told(life)[0] == ("exit", "ended for start-timeout, killed by signal 15 after 4.00 s: not ready after 4 s")


def test_one_that_is_silent_or_asks_for_its_end() -> None:
    life = up(watchdog=Watchdog(timeout=4.0))
    life.deadline()
    assert told(life) == [("stopping", "watchdog: no WATCHDOG=1 for 4 s; signal 6, 30 s to leave")]
    life = up()
    life.told(trigger=True)
    assert told(life) == [("stopping", "watchdog: it said WATCHDOG=trigger; signal 6, 30 s to leave")]


def test_one_that_is_ended_for_a_reason_without_more_words() -> None:
    life = up(graceful_timeout=1.0)
    life.end("memory")
    assert told(life) == [("stopping", "memory; signal 15, 1 s to leave")]
    life.exited(0)
    assert told(life)[0] == ("exit", "ended for memory, exited with status 0 after 0.00 s")


def test_one_that_fails_its_checks_and_passes_them_again() -> None:
    checks = (HealthCheck(name="a", kind="readiness", tcp="1"), HealthCheck(name="b", kind="readiness", tcp="2"))
    life = up(health=checks)
    life.checked()
    assert told(life) == [("serving", "")]
    life.checked("a", "b")
    assert told(life) == [("unready", "a, b: connection refused")]


def test_a_stop_by_steps_that_ends_stuck() -> None:
    life = up(stop=(StopStep(SIGTERM, 2.5), StopStep(SIGINT, 1.0)))
    life.stop()
    assert told(life) == [("stopping", "signal 15, 2.5 s to leave")]
    life.deadline()
    assert told(life) == [("stopping", "signal 2, 1 s to leave")]
    for _ in range(5):
        life.deadline()
        assert told(life) == []
    life.deadline()
    assert told(life) == [("stuck", "not gone after 5 kills of its group")]
    life.exited(None, signal=SIGKILL)
    assert told(life) == [("exit", "killed by signal 9 after 8.50 s"), ("stopped", "")]


def test_what_never_came_to_its_exec() -> None:
    life = Life(backoff=STEADY, max_retry=1)
    life.start()
    life.launch_failed()
    exit_ = ("exit", "could not be started: exec: No such file or directory")
    assert told(life) == [exit_, ("backoff", "restart in 0.50 s (1 failed starts in a row)")]
    life.deadline()
    life.launch_failed()
    assert told(life) == [exit_, ("failed", "could not be started 2 times in a row")]


def test_what_flaps() -> None:
    life = up(backoff=STEADY, flapping=Flapping(attempts=1, window=30.0, retry_in=7.0, max_retry=1))
    life.exited(1)
    assert told(life)[1] == ("flapping", "restart in 7.00 s (1 short lives in 30 s)")
    life.deadline()
    life.spawned()
    life.exited(1)
    assert told(life)[1] == ("failed", "1 short lives in 30 s, after 1 waits")


def test_what_is_done() -> None:
    life = up(restart="on-failure")
    life.exited(0)
    assert told(life)[1] == ("done", "no other life follows (restart: on-failure)")


def test_what_stands_still() -> None:
    life = up(backoff=STEADY)
    life.freeze()
    assert told(life) == [("frozen", "")]
    life.exited(1)
    assert told(life)[1] == ("backoff", "restart 0.50 s after a thaw (1 short lives in 60 s)")
    life.thaw()
    assert told(life) == [("thawed", "")]
    life.freeze()
    assert told(life) == [("frozen", "0.50 s before a start")]


def test_what_was_to_stand_still_before_its_exec() -> None:
    life = Life()
    life.start()
    life.freeze()
    assert told(life) == []
    life.spawned(pid=42)
    assert told(life) == [("ready", "pid 42"), ("frozen", "")]


def test_what_the_keeper_refused() -> None:
    life = Life(backoff=STEADY)
    life.start()
    life.refused(generation=9, pid=None)
    assert told(life) == [("backoff", "restart in 0.10 s (the keeper refused the spawn)")]


def test_the_record_of_an_end_names_its_life_its_process_and_how_it_ended() -> None:
    life = up()
    for event in (
        Exited(9, 1, 0, None, None, "", populated=True),
        Exited(9, 1, 0, None, None, "", populated=False),
        LaunchFailed(9, 1, "exec", 2, "No such file or directory"),
    ):
        after, effects = step(life.spec, life.slot, event, life.now, 0.0)
        record = next(effect for effect in effects if isinstance(effect, Publish))
        assert (record.kind, record.generation, record.pid, record.exit) == ("exit", 1, 42, after.last_exit)
