"""options, get, globaloptions: what holds now, whoever said it."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of
from circus_cg.config.options import chosen, plain
from circus_cg.core.choice import nearest
from circus_cg.errors import ConfigError
from circus_cg.rpc import messages as rpc


def options(arbiter: Arbiter, asked: rpc.Get) -> Fields:
    runner = runner_of(arbiter, asked.name)
    found = plain(runner.current)
    if asked.keys is None:
        return {"options": found}
    try:
        return {"options": chosen(found, asked.keys)}
    except ConfigError as wrong:
        text = f"cannot get options of {runner.spec.name!r}: {'; '.join(wrong.problems)}"
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, text) from wrong


def globaloptions(arbiter: Arbiter, asked: rpc.GlobalOptions) -> Fields:
    boot = arbiter.boot
    found = {
        "name": boot.spec.name,
        "endpoint": None if boot.runtime is None else f"ipc://{boot.runtime}/control.sock",
        "cgroup_root": boot.spec.cgroup_root,
        "cgroup_mode": boot.layout.mode,
        "on_missing": boot.spec.on_missing,
        "runtime_dir": boot.runtime,
        "state_dir": boot.state,
    }
    if asked.option is None:
        return {"options": found}
    if asked.option not in found:
        guess = nearest(found, asked.option)
        text = f"unknown option {asked.option[:64]!r}" + (f"; did you mean {guess}?" if guess else "")
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot get global options: {text}")
    return {"options": {asked.option: found[asked.option]}}
