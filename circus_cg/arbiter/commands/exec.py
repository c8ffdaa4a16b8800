"""exec: a command in a worker's group, with its identity, environment and limits."""

from __future__ import annotations

from base64 import b64encode

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of, to_start, workers_of
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno

LONGEST = 3600.0  # seconds


async def exec_(arbiter: Arbiter, asked: rpc.Exec) -> Fields:
    """`code` or `signal`, `stdout` and `stderr` in base64, `dropped` bytes of them, `timed_out`."""
    name, wid = _worker(arbiter, asked)
    runner = runner_of(arbiter, name)
    to_start(arbiter, [runner])
    if not asked.cmd or not asked.cmd[0]:
        raise BadMessage(Errno.BAD_MSG_DATA, "cannot run an empty command: give its words")
    if any("\0" in word for word in asked.cmd):
        raise BadMessage(Errno.BAD_MSG_DATA, "cannot run the command: a NUL byte in it; remove it")
    if not 0 < asked.timeout <= LONGEST:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot wait {asked.timeout:g} s for it: over 0, at most {LONGEST:g}")
    slot = min(workers_of(runner, wid, None, "run a command in"), key=lambda slot: slot.wid)
    if slot.frozen:
        raise BadMessage(Errno.COMMAND_ERROR, f"cannot run a command in {name}.{slot.wid}: it is frozen; thaw it first")
    ended = await arbiter.execs.run(runner, slot, asked.cmd, asked.timeout)
    return {
        "worker": f"{runner.spec.name}.{slot.wid}",
        "code": ended.code,
        "signal": ended.signal,
        "stdout": b64encode(ended.stdout).decode(),
        "stderr": b64encode(ended.stderr).decode(),
        "dropped": ended.dropped,
        "timed_out": ended.timed_out,
    }


def _worker(arbiter: Arbiter, asked: rpc.Exec) -> tuple[str, int | None]:
    """`web.2` is worker 2 of `web`, unless a watcher is called so."""
    name, dot, number = asked.name.rpartition(".")
    if asked.wid is None and dot and number.isdecimal() and len(number) < 10 and asked.name not in arbiter.runners:
        return name, int(number)
    return asked.name, asked.wid
