"""reload, reloadconfig."""

from __future__ import annotations

import asyncio
from functools import partial
from signal import SIGHUP

from circus_cg.arbiter import because, reconfigure, rolling
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, keep, runners_of, settled, to_start
from circus_cg.arbiter.report import status_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.slot import Phase
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno


async def reload(arbiter: Arbiter, asked: rpc.Reload) -> Fields:
    """A new life for every worker; whoever waits or has failed tries again now. A watcher that is stopped stays so."""
    runners = runners_of(arbiter, asked.name, asked.match)
    to_start(arbiter, runners)
    running = [runner for runner in runners if runner.wanted]
    for runner in [runner for runner in running if runner.spec.send_hup and asked.graceful]:
        arbiter.journal.tell(runner.spec.name, "reload", "SIGHUP to each worker")
        for slot in runner.slots.values():
            if slot.alive and slot.pid is not None and slot.phase is not Phase.STOPPING:
                runner.signal(slot, SIGHUP)
        running.remove(runner)
    if not asked.graceful:
        keep(arbiter.intents.renew, {runner.spec.name: runner.lives() for runner in running})
        for runner in running:
            arbiter.journal.tell(runner.spec.name, "reload", "all at once")
            runner.restart()
        return await settled(asked.waiting, runners, WatcherRunner.is_up)
    tasks = []
    for runner in running:
        arbiter.journal.tell(runner.spec.name, "reload", "one after the other")
        runner.start()
        tasks.append(arbiter.spawn_task(because.carried(partial(rolling.roll, arbiter, runner))))
    if not asked.waiting:
        return {}
    # Shielded: it goes on though its asker is gone.
    troubles = [trouble for trouble in await asyncio.shield(asyncio.gather(*tasks)) if trouble]
    if troubles:
        raise BadMessage(Errno.COMMAND_ERROR, "\n".join(troubles))
    return {"statuses": {runner.spec.name: status_of(runner) for runner in runners}}


async def reloadconfig(arbiter: Arbiter, asked: rpc.ReloadConfig) -> Fields:
    """`added`, `removed`, `changed` (options by watcher), `warnings`. ConfigError, HostError: nothing is changed."""
    to_start(arbiter, [])
    done = await reconfigure.reread(arbiter)
    if asked.waiting:
        for name in done["removed"]:
            if (leaving := arbiter.leaving.get(name)) is not None:
                await asyncio.shield(leaving)
        touched = [arbiter.runners[name] for name in (*done["added"], *done["changed"]) if name in arbiter.runners]
        await settled(True, touched, WatcherRunner.is_up)
    return done
