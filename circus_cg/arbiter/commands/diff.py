"""diff: what was said at run time against the configuration."""

from __future__ import annotations

from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields
from circus_cg.config.options import plain
from circus_cg.core import plan
from circus_cg.rpc import messages as rpc
from circus_cg.spec import WatcherSpec

SECRET = "env"  # its values are not shown: the next start does not need them said


async def diff(arbiter: Arbiter, asked: rpc.Nothing) -> Fields:
    """`added`, `removed`: watchers. `changed`: {watcher: {option: {"configured", "now"}}}.

    `stopped`, `started`: watchers against their `autostart`. `frozen`: {watcher: wids}.

    All of it ends with the daemon, but `lasting`: {watcher: {option: value}}. Values of `env` are left out.
    """
    configured = {spec.name: spec for spec in arbiter.boot.spec.watchers}
    here = {name: runner for name, runner in arbiter.runners.items() if name not in arbiter.leaving}
    changed = {}
    for name, spec in configured.items():
        if name in here and (options := _options(spec, here[name].current)):
            changed[name] = options
    return {
        "lasting": {name: kept for name in configured if (kept := arbiter.lasting.of(name))},
        "added": [name for name in here if name not in configured],
        "removed": [name for name in configured if name not in here],
        "changed": changed,
        "stopped": [name for name, spec in configured.items() if name in here and spec.autostart > here[name].wanted],
        "started": [name for name, spec in configured.items() if name in here and spec.autostart < here[name].wanted],
        "frozen": {
            name: wids
            for name, runner in here.items()
            if (wids := sorted(slot.wid for slot in runner.slots.values() if slot.frozen))
        },
    }


def _options(old: WatcherSpec, new: WatcherSpec) -> dict[str, dict[str, Any]]:
    before, after = plain(old), plain(new)
    return {
        key: {} if key.partition(".")[0] == SECRET else {"configured": _at(before, key), "now": _at(after, key)}
        for key in plan.diff(old, new).changed
    }


def _at(options: dict[str, Any], key: str) -> Any:
    """None where there is none: of a mapping that has not that key."""
    value: Any = options
    for part in key.split(".", 1):
        value = value.get(part) if isinstance(value, dict) else None
    return value
