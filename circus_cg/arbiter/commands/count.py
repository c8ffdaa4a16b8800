"""incr, decr: how many workers."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, keep, runner_of, settled, to_start
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.config.schema import MAX_WORKERS
from circus_cg.rpc import messages as rpc


async def incr(arbiter: Arbiter, asked: rpc.Count) -> Fields:
    return await _change(arbiter, asked, 1)


async def decr(arbiter: Arbiter, asked: rpc.Count) -> Fields:
    return await _change(arbiter, asked, -1)


async def _change(arbiter: Arbiter, asked: rpc.Count, sign: int) -> Fields:
    runner = runner_of(arbiter, asked.name)
    to_start(arbiter, [runner])
    if asked.nb < 0:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot change {asked.name!r} by {asked.nb}: nb must be >= 0")
    wanted = max(0, runner.numprocesses + sign * asked.nb)
    if wanted > MAX_WORKERS:
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot run {wanted} workers: at most {MAX_WORKERS}")
    if wanted > 1 and runner.spec.singleton:
        text = f"cannot run {wanted} workers of {runner.spec.name!r}: it is a singleton; set singleton to false first"
        raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, text)
    keep(arbiter.intents.count, runner.spec.name, wanted)
    runner.want(runner.wanted, wanted)
    arbiter.governors.pin(runner.spec.name)
    return {"numprocesses": wanted, **await settled(asked.waiting, [runner], WatcherRunner.is_up)}
