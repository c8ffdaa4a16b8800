"""start, stop, restart, wait, quit."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import (
    Fields,
    is_down_or_wanted,
    keep,
    refuse_while_stopping,
    runners_of,
    settled,
)
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.rpc import messages as rpc


async def start(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    runners = runners_of(arbiter, asked.name)
    refuse_while_stopping(arbiter)
    for runner in runners:
        keep(arbiter.intents.want, runner.spec.name, True)
        runner.start()
    return await settled(asked.waiting, runners, WatcherRunner.is_up)


async def stop(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    runners = runners_of(arbiter, asked.name)
    for runner in runners:
        keep(arbiter.intents.want, runner.spec.name, False)
        runner.want(False, runner.numprocesses)
    return await settled(asked.waiting, runners, is_down_or_wanted)


async def restart(arbiter: Arbiter, asked: rpc.Target) -> Fields:
    runners = runners_of(arbiter, asked.name)
    refuse_while_stopping(arbiter)
    for runner in runners:
        keep(arbiter.intents.want, runner.spec.name, True)
        runner.restart()
    return await settled(asked.waiting, runners, WatcherRunner.is_up)


async def wait(arbiter: Arbiter, asked: rpc.Wait) -> Fields:
    """Answers when the watchers are up (nothing starting or stopping) or down; may be asked again at any time."""
    conditions = {"up": WatcherRunner.is_up, "down": is_down_or_wanted}
    return await settled(True, runners_of(arbiter, asked.name), conditions[asked.state])


async def quit_(arbiter: Arbiter, asked: rpc.Quit) -> Fields:
    if not arbiter.stopping:
        arbiter.terminate()
    return {}
