"""Limits as the kernel spells them: which controller, which file, which text. One module a controller. Pure."""

from __future__ import annotations

from circus_cg.cgroup.limits import cpu, cpuset, io, memory, pids
from circus_cg.cgroup.limits.setting import EXACT, Setting, Support
from circus_cg.spec import Limits

__all__ = ["EXACT", "V1_SUPPORT", "Setting", "Support", "controllers", "given", "settings"]

_MODULES = (cpuset, cpu, memory, pids, io)
# What v1 can do of each limit; v2 does all of them as they are named.
V1_SUPPORT: dict[str, Support] = {name: support for module in _MODULES for name, support in module.V1.items()}


def settings(limits: Limits, version: int) -> tuple[Setting, ...]:
    """The writes that put `limits` into force on a fresh group, in the order in which they depend on each other."""
    chosen = (module.v2 if version == 2 else module.v1 for module in _MODULES)
    return tuple(setting for spell in chosen for setting in spell(limits))


def given(limits: Limits) -> dict[str, object]:
    """The limits that were set, by name. 0 is a value: `memory_swap_max=0` means no swap."""
    unset = Limits()
    return {name: value for name in V1_SUPPORT if (value := getattr(limits, name)) is not getattr(unset, name)}


def controllers(limits: Limits) -> frozenset[str]:
    """The controllers that `limits` needs, as v2 names them."""
    return frozenset(setting.controller for setting in settings(limits, 2))
