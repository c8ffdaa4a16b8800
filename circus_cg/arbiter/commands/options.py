"""options, get, globaloptions: what holds now, whoever said it."""

from __future__ import annotations

from pathlib import Path

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.reports import autoscaling
from circus_cg.arbiter.commands.target import Fields, runner_of
from circus_cg.config.options import chosen, plain
from circus_cg.core.choice import nearest
from circus_cg.errors import ConfigError
from circus_cg.host.dirs import Dirs
from circus_cg.rpc import messages as rpc


def options(arbiter: Arbiter, asked: rpc.Get) -> Fields:
    runner = runner_of(arbiter, asked.name)
    found = plain(runner.current)
    if asked.keys is None:
        kept = arbiter.lasting.of(runner.spec.name)
        return {"options": found, **autoscaling(arbiter, [runner]), **({"lasting": kept} if kept else {})}
    try:
        return {"options": chosen(found, asked.keys)}
    except ConfigError as wrong:
        text = f"cannot get options of {runner.spec.name!r}: {'; '.join(wrong.problems)}"
        raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, text) from wrong


def globaloptions(arbiter: Arbiter, asked: rpc.GlobalOptions) -> Fields:
    boot = arbiter.boot
    on_disk = boot.runtime is not None and boot.state is not None
    places = Dirs(Path(boot.runtime or ""), Path(boot.state or "")) if on_disk else None
    found = {
        "name": boot.spec.name,
        "endpoint": None if places is None else places.endpoint,
        "pubsub_endpoint": None if places is None else places.pubsub_endpoint,
        "stats_endpoint": None if places is None else places.pubsub_endpoint,  # one socket for both
        "check_delay": 0,  # nothing polls
        "multicast_endpoint": None,  # nothing is announced
        "cgroup_root": boot.spec.cgroup_root,
        "cgroup_mode": boot.layout.mode,
        "on_missing": boot.spec.on_missing,
        "events_kept": boot.spec.events_kept,
        "config": None if boot.source is None else boot.source.path,
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
