"""The difference of two specs of one watcher: what is done about it at once, and what only a new life has."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from circus_cg.spec import Limits, WatcherSpec

# What `step`, the stop and the count read afresh each time. All else is part of a life from its beginning.
LIVE = frozenset(
    {
        "after", "autoscale", "autostart", "backoff", "flapping", "graceful_timeout", "health", "limits", "max_age",
        "max_age_variance", "max_retry", "memory_policy", "min_uptime", "numprocesses", "priority", "requires",
        "restart", "restart_prevent_exit_status", "send_hup", "singleton", "start_timeout", "stop", "stop_children",
        "stop_signal", "success_exit_status", "warmup_delay", "watcher_limits",
    }
)  # fmt: skip


class Plan(msgspec.Struct, frozen=True):
    """In this order: the groups, the count, the renewal of the workers."""

    changed: tuple[str, ...]  # options, dotted below the top
    regroup: bool  # the limits of the workers or of their sum are others
    recount: bool
    renew: bool  # the workers that live have what is no longer wanted


def diff(old: WatcherSpec, new: WatcherSpec) -> Plan:
    """What leads from `old` to `new`."""
    changed = tuple(_changed(old, new))
    tops = {name.partition(".")[0] for name in changed}
    return Plan(
        changed=changed,
        regroup=not tops.isdisjoint({"limits", "watcher_limits"}),
        recount="numprocesses" in tops,
        renew=bool(tops - LIVE),
    )


def digest(spec: WatcherSpec) -> str:
    """Of what a life has from its beginning: two specs with the same need no new lives, whichever version reads them.

    Options left at their defaults don't count, so that one more of them is no change.
    """
    return _hashed(_birth(spec, LIVE))


def former_digest(spec: WatcherSpec) -> str:
    """As the version before took it, when limits were of the birth: lives that it began are no older for an upgrade."""
    return _hashed([_birth(spec, LIVE - {"limits"}), sorted(_controllers(spec))])


def _birth(spec: WatcherSpec, live: frozenset[str]) -> dict[str, Any]:
    same = msgspec.json.decode(msgspec.json.encode(spec), type=WatcherSpec)  # 1 and 1.0 are one second
    return {name: value for name, value in _said(same, WatcherSpec(name="", cmd=())).items() if name not in live}


def _hashed(said: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:16]


def _said(struct: msgspec.Struct, default: msgspec.Struct) -> dict[str, Any]:
    """The fields that differ from the default, as JSON's own types."""
    found = {}
    for name in struct.__struct_fields__:
        value, usual = getattr(struct, name), getattr(default, name)
        if value == usual:
            continue
        both = isinstance(value, msgspec.Struct) and isinstance(usual, msgspec.Struct)
        found[name] = _said(value, usual) if both else msgspec.to_builtins(value)
    return found


def _changed(old: msgspec.Struct, new: msgspec.Struct) -> list[str]:
    names = []
    for name in old.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
            names += [f"{name}.{inner}" for inner in _changed(before, after)]
        elif isinstance(before, dict) and isinstance(after, dict):
            keys = sorted(before.keys() | after.keys())
            names += [f"{name}.{key}" for key in keys if before.get(key) != after.get(key)]
        else:
            names.append(name)
    return names


def _controllers(spec: WatcherSpec) -> set[str]:
    """Named as the first word of each limit that is set."""
    unset = Limits()
    both = (spec.limits, spec.watcher_limits)
    return {
        name.partition("_")[0]
        for limits in both
        for name in Limits.__struct_fields__
        if getattr(limits, name) != getattr(unset, name)
    } | {"memory"}
