"""What a trainer does in the process that made it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from circus_cg import ConfigError, Event, HostError, Limits, Lost, NotRunning, StartFailed, get_arbiter, get_trainer
from tests.conftest import until
from tests.functional.evidence import alive, children_of, group_dirs, lines_of, python, quoted, sh
from tests.functional.library.conftest import trees

SLEEP = ["sleep", "1000"]
AT_ONCE = {"initial": 0.05, "max": 0.05}


def test_each_worker_is_in_its_group_from_its_first_instruction(prefix: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with get_trainer(sh(f"cat /proc/self/cgroup >>{quoted(seen)}; exec sleep 1000"), 1, name=prefix) as trainer:
        (worker,) = trainer.stats()
        until(lambda: lines_of(seen), why="the worker's evidence")
        assert worker.cgroup is not None and worker.cgroup.endswith(f"/{prefix}/1.1")
        assert any(line.endswith(worker.cgroup) for line in lines_of(seen))


def test_a_worker_over_its_limit_is_killed_alone_replaced_and_the_event_says_why(prefix: str) -> None:
    events: list[Event] = []
    hog = python("import time; time.sleep(0.1); b = b'x' * (200 << 20); time.sleep(1000)")
    limits = Limits(memory_max="32M", memory_swap_max=0)
    with (
        get_trainer(SLEEP, 2, name=prefix) as calm,
        get_trainer(hog, 1, name=prefix, limits=limits, backoff=AT_ONCE, on_event=events.append),
    ):
        before = calm.pids
        until(lambda: [e for e in events if e.kind == "exit"], why="the OOM kill")
        exit_ = next(event for event in events if event.kind == "exit")
        assert "OOM-killed at its own limit" in exit_.detail and "memory_max 33554432" in exit_.detail
        until(lambda: sum(e.kind == "ready" for e in events) > 1, why="its replacement")
        assert calm.pids == before


def test_more_fewer_and_other_workers(prefix: str) -> None:
    with get_trainer(SLEEP, 2, name=prefix) as trainer:
        assert trainer.incr(2) == 4 and len(trainer.pids) == 4
        assert trainer.decr() == 3 and len(trainer.pids) == 3 and trainer.numprocesses == 3
        before = trainer.pids
        trainer.restart()
        assert len(trainer.pids) == 3 and not set(before) & set(trainer.pids)
        assert not any(alive(pid) for pid in before)
        assert trainer.status == "active"
        victim = trainer.stats()[1]
        assert trainer.signal("KILL", wid=2) == [victim.pid]
        until(lambda: trainer.stats()[1].generation > victim.generation, why="the killed worker's replacement")


def test_wait_is_done_when_all_have_failed_for_good(prefix: str) -> None:
    flapping = {"attempts": 2, "max_retry": 0}
    with get_trainer(sh("exit 3"), 2, name=prefix, backoff=AT_ONCE, flapping=flapping) as trainer:
        assert trainer.wait(20)
        assert [(w.phase, w.last_exit and w.last_exit.code) for w in trainer.stats()] == [("failed", 3)] * 2


def test_a_program_that_is_not_there_is_said_at_once_and_leaves_nothing(prefix: str) -> None:
    trainer = get_trainer("/no/such/program --flag", 3, name=prefix)
    with pytest.raises(StartFailed, match="No such file or directory"):
        trainer.start()
    assert not trainer.running
    assert not trees(prefix)


def test_what_makes_no_sense_is_refused_before_anything_runs(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"limits\.memory_max: '64Q' is wrong"):
        Limits(memory_max="64Q")
    with pytest.raises(ConfigError, match="did you mean 'stop_signal'"):
        get_trainer("true", name=prefix, stop_signl=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="can't be a name"):
        get_trainer("true", name="../escape")
    with pytest.raises(ConfigError, match="no program"):
        get_trainer("", name=prefix)
    with pytest.raises(HostError, match="no user is named"):
        get_trainer("true", name=prefix, uid="no-such-user-here").start()
    assert not trees(prefix)


def test_a_program_that_embeds_python_is_told_what_is_missing(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "")
    with pytest.raises(HostError, match=r"cannot start a keeper: .* sys\.executable"):
        get_trainer(SLEEP, name=prefix).start()


def test_it_can_be_started_again_and_leaks_no_descriptor_thread_or_process(prefix: str) -> None:
    trainer = get_trainer(SLEEP, 2, name=prefix)
    trainer.start()
    trainer.stop()
    before = len(os.listdir("/proc/self/fd")), threading.active_count(), len(children_of(os.getpid()))
    for _ in range(5):
        trainer.start()
        assert len(trainer.pids) == 2
        trainer.stop()
        trainer.stop()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count(), len(children_of(os.getpid()))) == before


def test_several_arbiters_live_in_one_process_and_don_t_meet(prefix: str) -> None:
    with get_trainer(SLEEP, 1, name=prefix) as one, get_trainer(SLEEP, 2, name=prefix) as two:
        assert len(trees(prefix)) == 2
        one.stop()
        assert len(two.pids) == 2
    assert not trees(prefix)


def test_threads_may_use_it_at_the_same_time(prefix: str) -> None:
    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        threads = [threading.Thread(target=trainer.incr) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert trainer.numprocesses == 9
        until(lambda: len(trainer.pids) == 9)


def test_inside_a_running_loop_nothing_blocks_it_and_events_come_in_order(prefix: str) -> None:
    async def story() -> list[Event]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with get_trainer(SLEEP, 2, name=prefix) as trainer:
            events = trainer.events()
            assert await trainer.aincr() == 3
            assert await trainer.asignal("TERM", wid=1)
            seen = []
            async for event in events:
                seen.append(event)
                if event.kind == "ready" and event.wid == 1:
                    break
            assert not await trainer.await_down(0.05)
            await trainer.arestart()
            assert len(await trainer.astats()) == 3
            rest = trainer.events()
        seen += [event async for event in rest]  # ends with the trainer
        ticking.cancel()
        assert ticks > 10
        return seen

    seen = asyncio.run(story())
    assert [event.id for event in seen] == sorted(event.id for event in seen)
    assert ("exit", 1) in [(event.kind, event.wid) for event in seen]
    assert [event.kind for event in seen][-1] == "stopped"


def test_an_arbiters_watchers_are_stopped_and_started_apart(prefix: str) -> None:
    watchers = [{"name": "a", "cmd": SLEEP}, {"name": "b", "cmd": "sleep 1000", "numprocesses": 2}]
    with get_arbiter(watchers, name=prefix) as arbiter:
        assert arbiter.names == ["a", "b"]
        arbiter["a"].stop()
        assert (arbiter["a"].status, arbiter["b"].status) == ("stopped", "active")
        assert not arbiter.wait(0.05)
        arbiter["a"].start()
        assert len(arbiter["a"].pids) == 1
        for watcher in arbiter:
            watcher.stop()
        assert arbiter.wait(10)
        with pytest.raises(KeyError):
            arbiter["c"]


def test_a_callback_that_fails_or_wants_to_wait_harms_nobody(prefix: str) -> None:
    told: list[str] = []

    def on_event(event: Event) -> None:
        try:
            trainer.stop()
        except Exception as refused:
            told.append(str(refused))
        raise RuntimeError("a caller's mistake")

    trainer = get_trainer(SLEEP, 1, name=prefix, on_event=on_event)
    with trainer:
        assert len(trainer.pids) == 1
    assert told and "in an event callback" in told[0]


def test_when_somebody_kills_the_keeper_the_workers_go_too_and_the_program_hears_of_it(prefix: str) -> None:
    with get_trainer(SLEEP, 2, name=prefix) as trainer:
        pids = trainer.pids
        keeper = next(pid for pid, line in children_of(os.getpid()).items() if "embedded.py" in line)
        os.kill(keeper, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids), why="the workers to be ended")
        until(lambda: not trainer.running)
        with pytest.raises(Lost, match="keeper was killed"):
            trainer.incr()
    assert not trees(prefix)


def test_the_callers_descriptor_limit_and_place_stay_as_they_are(prefix: str) -> None:
    before = Path("/proc/self/cgroup").read_text(), Path("/proc/self/limits").read_text()
    with get_trainer(SLEEP, 1, name=prefix):
        assert (Path("/proc/self/cgroup").read_text(), Path("/proc/self/limits").read_text()) == before
        (name,) = trees(prefix)
        assert group_dirs(name, prefix, "1.1")


def test_when_its_keeper_dies_amid_its_verbs_every_one_says_so_and_it_can_be_stopped(prefix: str) -> None:
    for delay in (0.0, 0.005, 0.01, 0.02, 0.03):
        trainer = get_trainer(SLEEP, 1, name=prefix).start()
        keeper = next(pid for pid, line in children_of(os.getpid()).items() if "embedded.py" in line)
        killing = threading.Timer(delay, os.kill, (keeper, signal.SIGKILL))
        killing.start()
        with pytest.raises(Lost, match="keeper was killed"):
            while True:
                trainer.incr()
                trainer.decr()
        trainer.stop()
        killing.join()
    assert not trees(prefix)


def test_after_a_stop_nothing_is_left_to_wait_for_and_the_other_verbs_say_what_to_do(prefix: str) -> None:
    trainer = get_trainer(SLEEP, 1, name=prefix)
    with pytest.raises(NotRunning, match="call start"):
        trainer.wait(0)
    with trainer:
        pass
    assert trainer.wait(0)
    assert asyncio.run(trainer.await_down(0))
    with pytest.raises(NotRunning, match="they were stopped; call start"):
        trainer.incr()


def test_who_waits_for_a_verb_while_the_workers_are_stopped_gets_an_answer(prefix: str) -> None:
    stubborn = sh("trap '' TERM; while :; do sleep 1; done")
    answers: dict[str, object] = {}
    trainer = get_trainer(stubborn, 1, name=prefix, graceful_timeout=0.5).start()

    def ask(verb: str) -> None:
        try:
            answers[verb] = getattr(trainer, verb)()
        except NotRunning as refused:
            answers[verb] = refused

    threads = [threading.Thread(target=ask, args=(verb,)) for verb in ("restart", "wait", "stats")]
    for thread in threads:
        thread.start()
    trainer.stop()
    for thread in threads:
        thread.join(10)
    assert set(answers) == {"restart", "wait", "stats"}
    assert answers["wait"] is True


def test_a_verb_that_comes_while_they_are_stopped_is_told_that_they_were(prefix: str) -> None:
    stubborn = sh("trap '' TERM; while :; do sleep 1; done")
    trainer = get_trainer(stubborn, 1, name=prefix, graceful_timeout=0.5).start()
    stop = threading.Thread(target=trainer.stop)
    stop.start()
    told = 0
    while stop.is_alive():
        try:
            trainer.restart()
        except NotRunning:
            told += 1
            stop.join(0.01)  # a flood of them would take the keeper's CPU
    assert told


def test_a_wait_that_was_given_up_leaves_nothing_in_the_loop(prefix: str) -> None:
    def tasks() -> int:
        async def count(_: object) -> int:
            return len(asyncio.all_tasks())

        return trainer._session().submit(count).result()

    async def story() -> None:
        for verb in (trainer.await_down, trainer.aincr, trainer.adecr, trainer.arestart, trainer.astats):
            asked = asyncio.ensure_future(verb())
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        before = tasks()
        for _ in range(50):
            assert not trainer.wait(0)
        asyncio.run(story())
        until(lambda: tasks() == before, why="the given up to be gone")
        assert trainer.incr() >= 1


def test_a_loop_policy_of_the_caller_is_not_for_us(prefix: str) -> None:
    """One with another clock would never begin a worker again."""

    class Still(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return 0.0

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return Still()

    asyncio.set_event_loop_policy(Policy())
    try:
        flapping = {"attempts": 2, "max_retry": 0}
        with get_trainer(sh("exit 3"), 1, name=prefix, backoff=AT_ONCE, flapping=flapping) as trainer:
            assert trainer.wait(10)
    finally:
        asyncio.set_event_loop_policy(None)


def test_a_start_that_is_cancelled_leaves_nothing(prefix: str) -> None:
    async def story() -> None:
        trainer = get_trainer(SLEEP, 3, name=prefix)
        for delay in (0.0, 0.01, 0.03, 0.05):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await trainer.astart()
                    await asyncio.sleep(10)
            if trainer.running:  # it was quicker than the time-out
                await trainer.astop()
            assert not trees(prefix)
        async with trainer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await trainer.astart()  # did nothing: it is another's
            assert len(await trainer.astats()) == 3

    asyncio.run(story())


def test_stopping_needs_none_of_the_loops_threads_that_wait_for_it(prefix: str) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        trainer = get_trainer(SLEEP, 1, name=prefix).start()
        try:
            waiting = asyncio.create_task(asyncio.to_thread(trainer.wait))
            await asyncio.sleep(0.05)
            await asyncio.wait_for(trainer.astop(), 10)
            assert await waiting
        finally:
            trainer.stop()

    asyncio.run(story())


def test_the_interpreters_debug_mode_is_not_for_our_loop(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the program's log with how long groups take to make."""

    async def debugged(_: object) -> bool:
        return asyncio.get_running_loop().get_debug()

    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    with get_trainer(SLEEP, 1, name=prefix) as trainer:
        assert not trainer._session().submit(debugged).result()


def test_it_is_started_when_its_worker_tells_that_it_is_ready(prefix: str, tmp_path: Path) -> None:
    about = tmp_path / "about"
    cmd = sh(f"sleep 0.5; touch {quoted(about)}; echo >&4; exec 4>&-; exec sleep 1000")
    with get_trainer(cmd, 1, name=prefix, ready="fd", notification_fd=4) as trainer:
        assert about.exists()
        assert trainer.status == "active"
