"""start, stop, restart, kill, wait, quit."""

from __future__ import annotations

import asyncio
from functools import partial

from msgspec.structs import replace

from circus_cg.arbiter import because
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import (
    Fields,
    choice_of,
    is_down_or_wanted,
    keep,
    runner_of,
    runners_of,
    settled,
    to_start,
    workers_of,
)
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.ending import escalation
from circus_cg.rpc import messages as rpc
from circus_cg.units import parse_seconds, signal_number


async def start(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    runners = runners_of(arbiter, asked.name, asked.match)
    to_start(arbiter, runners)
    keep(arbiter.intents.want, [runner.spec.name for runner in runners], True)
    for runner in arbiter.ordering.sequence(runners):
        runner.start()
    return await settled(asked.waiting, runners, WatcherRunner.is_up)


async def stop(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    runners = runners_of(arbiter, asked.name, asked.match)
    keep(arbiter.intents.want, [runner.spec.name for runner in runners], False)
    stopped = arbiter.spawn_task(because.carried(partial(arbiter.ordering.stop, runners)))
    await asyncio.shield(stopped) if asked.waiting else await asyncio.sleep(0)
    return await settled(asked.waiting, runners, is_down_or_wanted)


async def restart(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    """A new life for every worker; without a name of every watcher, where circus restarts the daemon in place."""
    runners = runners_of(arbiter, asked.name, asked.match)
    to_start(arbiter, runners)
    keep(arbiter.intents.renew, {runner.spec.name: runner.lives() for runner in runners})
    for runner in runners:
        runner.restart()
    return await settled(asked.waiting, runners, WatcherRunner.is_up)


async def kill(arbiter: Arbiter, asked: rpc.Kill) -> Fields:
    """As restart, for one or all of a watcher's workers, with a stop signal and a patience for this once."""
    runner = runner_of(arbiter, asked.name)
    to_start(arbiter, [runner])
    spec = runner.spec
    try:
        if asked.signum is not None:
            spec = replace(spec, stop_signal=signal_number(asked.signum), stop=())
        if asked.graceful_timeout is not None:
            spec = replace(spec, graceful_timeout=parse_seconds(asked.graceful_timeout), stop=())
    except ValueError as wrong:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot kill {asked.name!r}: {wrong}") from wrong
    chosen = workers_of(runner, asked.wid, _pid(asked.pid), "kill")
    lives = {slot.wid: slot.generation for slot in chosen if slot.wanted}
    if lives:
        keep(arbiter.intents.renew, {runner.spec.name: lives})
    for slot in chosen:
        if slot.asked:  # on its way out already: it is signalled again, and its deadline stays
            runner.signal(slot, escalation(spec)[0].signal)
    runner.renew(lives, spec)
    return {"killed": [slot.pid for slot in chosen], **await settled(asked.waiting, [runner], WatcherRunner.is_up)}


def _pid(given: int | str | None) -> int | None:
    if not isinstance(given, str):
        return given
    if not (given.isascii() and given.isdecimal()) or len(given) > 10:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot kill the pid {given[:20]!r}: expected a number")
    return int(given)


async def wait(arbiter: Arbiter, asked: rpc.Wait) -> Fields:
    """Answers when the watchers are up (nothing starting or stopping), down or gone; may be asked again at any time."""
    if asked.state == "gone":
        return await _wait_gone(arbiter, asked)
    conditions = {"up": WatcherRunner.is_up, "down": is_down_or_wanted}
    return await settled(True, runners_of(arbiter, asked.name, asked.match), conditions[asked.state])


async def _wait_gone(arbiter: Arbiter, asked: rpc.Wait) -> Fields:
    """One that was never asked to go, or was added again, is not waited for; what is missing is gone."""
    for name in choice_of(arbiter, asked.name, asked.match).names:
        if (leaving := arbiter.leaving.get(name)) is not None:
            await asyncio.shield(leaving)
    return {}


def quit_(arbiter: Arbiter, asked: rpc.Quit) -> Fields:
    if not arbiter.stopping:
        arbiter.terminate()
    return {}
