"""Which ends are followed by a new life, by code, signal and reason."""

from signal import SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGSEGV, SIGTERM, SIGUSR1

import pytest

from circus_cg.core.effects import RemoveGroup, Spawn
from circus_cg.core.restart import exit_code, follows
from circus_cg.core.slot import Phase
from circus_cg.core.state import Exit
from circus_cg.core.watcher import restart, start, status
from circus_cg.spec import WatcherSpec
from tests.unit.core.lives import Life

POLICIES = ("always", "on-failure", "on-abnormal", "never")


def end(code: int | None = None, signal: int | None = None, reason: str = "") -> Exit:
    return Exit(code, signal, reason or ("exited" if signal is None else "signal"), "", 5.0, 100.0)


def spec(policy: str, **more: object) -> WatcherSpec:
    return WatcherSpec(name="w", cmd=("true",), restart=policy, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended", "always", "on_failure", "on_abnormal"),
    [
        (end(0), True, False, False),
        (end(1), True, True, False),
        (end(signal=SIGTERM), True, False, False),
        (end(signal=SIGHUP), True, False, False),
        (end(signal=SIGINT), True, False, False),
        (end(signal=SIGPIPE), True, False, False),
        (end(signal=SIGSEGV), True, True, True),
        (end(signal=SIGKILL), True, True, True),
        (end(signal=SIGKILL, reason="oom"), True, True, True),
        (end(signal=SIGKILL, reason="oom-host"), True, True, True),
        (end(signal=SIGABRT, reason="watchdog"), True, True, True),
        (end(0, reason="health"), True, True, True),
        (end(0, reason="start-timeout"), True, True, True),
        (end(0, reason="max-age"), True, True, True),
        (end(0, reason="memory"), True, True, True),
        (end(reason="unknown"), True, True, True),
    ],
)
def test_what_each_policy_says_of_an_end(ended: Exit, always: bool, on_failure: bool, on_abnormal: bool) -> None:
    assert [follows(spec(policy), ended) for policy in POLICIES] == [always, on_failure, on_abnormal, False]


def test_more_ends_can_be_called_a_success() -> None:
    policy = spec("on-failure", success_exit_status=(75, "SIGUSR1"))
    assert not follows(policy, end(75))
    assert not follows(policy, end(signal=SIGUSR1))
    assert follows(policy, end(SIGUSR1))  # a number is a code


def test_some_ends_forbid_a_restart_whatever_the_policy() -> None:
    policy = spec("always", restart_prevent_exit_status=(3, "SEGV"))
    assert not follows(policy, end(3))
    assert not follows(policy, end(signal=SIGSEGV))
    assert follows(policy, end(1))
    assert follows(policy, end(3, reason="max-age"))  # that was to be followed by a new one


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (end(0), 0),
        (end(7), 7),
        (end(signal=SIGKILL), 137),
        (end(reason="exec"), 127),
        (end(reason="unknown"), 1),
        (None, 0),
    ],
)
def test_an_end_as_a_shell_tells_it(ended: Exit | None, code: int) -> None:
    assert exit_code(ended) == code


def test_a_worker_whose_end_is_not_followed_rests_as_done_and_keeps_its_place() -> None:
    life = Life(restart="on-failure")
    life.start()
    assert life.lives(5.0, code=0) == (RemoveGroup(1, cause=life.id),)
    assert (life.slot.phase, life.slot.wanted, life.published) == (Phase.DONE, True, ["exit", "done"])
    assert life.freeze() == life.end() == ()
    assert life.start() == (Spawn(2, cause=life.id),)
    assert life.lives(5.0, code=1)[0] == Spawn(3, cause=life.id)


def test_leftovers_of_one_that_is_done_are_killed_all_the_same() -> None:
    life = Life(restart="never")
    life.start()
    life.spawned()
    life.exited(0, populated=True)
    assert life.emptied() == (RemoveGroup(1, cause=life.id),)
    assert life.slot.phase is Phase.DONE


def test_an_operators_restart_is_no_matter_of_policy() -> None:
    life = Life(restart="never")
    life.start()
    life.spawned()
    life.restart()
    assert life.exited(0) == (Spawn(2, cause=life.id), RemoveGroup(1, cause=life.id))
    life.lives(1.0, code=0)
    assert life.slot.phase is Phase.DONE
    assert life.stop() == ()
    assert (life.slot.phase, life.slot.wanted) == (Phase.IDLE, False)


def test_what_never_came_to_its_exec_is_tried_again_under_every_policy() -> None:
    life = Life(restart="never", max_retry=1)
    life.start()
    life.launch_failed()
    assert life.published == ["exit", "backoff"]
    life.deadline()
    life.launch_failed()
    assert life.published == ["exit", "failed"]


def test_a_watcher_whose_workers_are_done_is_stopped_and_a_start_begins_them_anew() -> None:
    life = Life(restart="never")
    life.start()
    life.lives(5.0, code=0)
    assert status(True, {Phase.DONE: 2}) == "stopped"
    assert status(True, {Phase.DONE: 1, Phase.READY: 1}) == "active"
    assert [(wid, kind.__name__) for wid, kind in start(1, {1: life.slot})] == [(1, "Start")]
    assert [(wid, kind.__name__) for wid, kind in restart(1, {1: life.slot})] == [(1, "Restart")]
