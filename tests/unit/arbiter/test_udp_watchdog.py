"""circus's watchdog is what the configuration says at each moment, on the address that it says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.udp_watchdog import UdpWatchdogs
from circus_cg.core.slot import Phase, Slot
from circus_cg.host import clock
from circus_cg.spec import ArbiterSpec, UdpWatchdog, WatcherSpec

ROUNDS = 10  # of the loop, in which all is done that waits for nobody


class Runner:
    def __init__(self) -> None:
        self.spec = WatcherSpec(name="w", cmd=("x",))
        self.slots = {1: Slot(wid=1, wanted=True, phase=Phase.READY, generation=1, alive=True, pid=77, since=0.0)}
        self.ended: list[int] = []

    def deliver(self, wid: int, event: Any, spec: WatcherSpec) -> None:
        self.ended.append(wid)


@pytest.fixture
def spec() -> Iterator[UdpWatchdog]:
    """On a port that was free a moment ago; nobody looks unless the test does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    yield UdpWatchdog(port=port, loop_rate=1000.0, max_count=1)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The time from then on."""

    def put(now: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: now)

    put(0.0)
    return put


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Any, UdpWatchdogs]]:
    tasks: list[asyncio.Task[Any]] = []

    def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    boot = SimpleNamespace(spec=ArbiterSpec())
    arbiter = SimpleNamespace(boot=boot, runners={"w": Runner()}, journal=Journal(), spawn_task=spawn, tasks=tasks)
    there = UdpWatchdogs(cast(Arbiter, arbiter))
    yield arbiter, there
    there.close()
    await rounds()
    assert all(task.cancelled() for task in tasks)


async def rounds() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


async def adjusted(arbiter: Any, there: UdpWatchdogs, spec: UdpWatchdog | None) -> None:
    """The configuration says this now."""
    arbiter.boot.spec = ArbiterSpec(udp_watchdog=spec)
    there.adjust()
    await rounds()


def is_free(spec: UdpWatchdog) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.bind((spec.ip, spec.port))
        except OSError:
            return False
        return True


async def say(spec: UdpWatchdog, text: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(text.encode(), (spec.ip, spec.port))
    await rounds()


def look(there: UdpWatchdogs) -> None:
    """What its task does now and then."""
    assert there._current is not None
    there._current._look(clock.now())


def test_it_begins_and_ends_with_the_configuration(spec: UdpWatchdog) -> None:
    async def go() -> None:
        async with running() as (arbiter, there):
            await adjusted(arbiter, there, None)
            assert not arbiter.tasks and is_free(spec)
            await adjusted(arbiter, there, spec)
            assert not is_free(spec)
            await adjusted(arbiter, there, replace(spec))
            assert len(arbiter.tasks) == 1, "what is as it was goes on"
            await adjusted(arbiter, there, None)
            assert is_free(spec)
            await adjusted(arbiter, there, spec)
            assert not is_free(spec)
        assert is_free(spec)

    asyncio.run(go())


def test_another_rule_holds_at_once_on_the_same_address(spec: UdpWatchdog, at: Callable[[float], None]) -> None:
    """Who was heard by the old one has all its time again: nobody is ended for what was not to be said yet."""
    other = replace(spec, loop_rate=10.0, msg_regex="^alive (?P<pid>.*)$")

    async def go() -> None:
        async with running() as (arbiter, there):
            ended = arbiter.runners["w"].ended
            await adjusted(arbiter, there, spec)
            at(900.0)
            await adjusted(arbiter, there, other)
            at(905.0)
            await say(spec, "alive 77")
            at(914.0)
            look(there)
            assert not ended
            await say(spec, "77;914")
            at(916.0)
            look(there)
            assert ended == [1], "that is not how it speaks any more"

    asyncio.run(go())


def test_an_address_that_somebody_has_is_no_reason_to_keep_the_old_rule(spec: UdpWatchdog) -> None:
    async def go() -> None:
        async with running() as (arbiter, there):
            await adjusted(arbiter, there, spec)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
                taken.bind(("127.0.0.1", 0))
                elsewhere = replace(spec, port=taken.getsockname()[1], loop_rate=0.001)
                await adjusted(arbiter, there, elsewhere)
                assert is_free(spec)
            while is_free(elsewhere):  # tried again, until it is to be had
                await asyncio.sleep(0)

    asyncio.run(go())
